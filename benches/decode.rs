//! How fast an image is decoded, against liblzma as the usual crates call it and against `xzcat`, in one run.
//!
//! `cargo bench --bench decode` makes an image as Talos does: 9192 MiB, GUID partition table, a FAT32 EFI partition of
//! 2101 MiB with 139 MB of data that do not compress further, META, `xz -0 -T0`. It takes sgdisk, mkfs.fat, mtools and
//! xz, about 400 MB in the directory for temporary files, and some minutes. `TALOSOCI_BENCH_IMAGE` names an `.xz` file
//! to be used instead, `TALOSOCI_BENCH_ROUNDS` how often everything is repeated (3).
//!
//! Ours does more than the others: it also hashes the compressed file and every extent. Each contender is a process of
//! its own, which is how its peak memory is known. The xz2 crate cannot be linked beside liblzma (both carry the C
//! library of that name); "liblzma" calls the newer library in the same way.

use std::{
    env, error, fs,
    fs::File,
    hint::black_box,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use bytes::Bytes;
use talosoci::disk_image::{DecodeOptions, Decoder, Event};

mod guide;

type Result<T> = std::result::Result<T, Box<dyn error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().collect();
    match arguments.iter().position(|argument| argument == CONTEND) {
        Some(at) => contend(&arguments[at + 1], Path::new(&arguments[at + 2])),
        None => compare(),
    }
}

/// Repeats all contenders in turn, so that noise hits them alike, and prints the best of each.
fn compare() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let image = guide::image(scratch.path())?;
    let rounds = env::var("TALOSOCI_BENCH_ROUNDS").map_or(Ok(3), |rounds| rounds.parse())?;
    let mut results: Vec<Outcome> = Vec::new();
    for round in 0..rounds {
        for (index, name) in CONTENDERS.into_iter().enumerate() {
            let outcome = run(name, &image)?;
            if round == 0 {
                results.push(outcome);
            } else if outcome.seconds < results[index].seconds {
                results[index] = outcome;
            }
        }
    }
    print(&image, rounds, &results)
}

#[derive(Clone)]
struct Outcome {
    seconds: f64,
    bytes: u64,
    peak_kib: u64,
}

fn run(name: &str, image: &Path) -> Result<Outcome> {
    if name == "xzcat" {
        let start = Instant::now();
        let mut child = Command::new("xz").args(["-dc", "-T1"]).arg(image).stdout(Stdio::piped()).spawn()?;
        let mut out = child.stdout.take().ok_or("xz has no output")?;
        let (mut buffer, mut bytes) = (vec![0; 256 << 10], 0);
        loop {
            match out.read(&mut buffer)? {
                0 => break,
                n => bytes += n as u64,
            }
        }
        let status = child.wait()?;
        let outcome = Outcome { seconds: start.elapsed().as_secs_f64(), bytes, peak_kib: 0 };
        return if status.success() { Ok(outcome) } else { Err("xz failed".into()) };
    }
    let output =
        Command::new(env::current_exe()?).args([CONTEND, name]).arg(image).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [seconds, bytes, peak_kib] = fields[..] else { return Err(format!("{name} failed: {text}").into()) };
    Ok(Outcome { seconds: seconds.parse()?, bytes: bytes.parse()?, peak_kib: peak_kib.parse()? })
}

/// Decodes in this process and prints seconds, bytes and peak memory.
#[allow(clippy::print_stdout)]
fn contend(name: &str, image: &Path) -> Result<()> {
    let start = Instant::now();
    let bytes = match name.strip_prefix("ours, threads: ") {
        Some(threads) => ours(image, threads.parse()?)?,
        None => liblzma_stream(image)?,
    };
    let seconds = start.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak memory")?;
    println!("{seconds} {bytes} {}", peak.trim().trim_end_matches(" kB"));
    Ok(())
}

fn ours(image: &Path, threads: usize) -> Result<u64> {
    let mut options = DecodeOptions::new(64 << 30);
    options.threads = threads;
    let mut decoder = Decoder::new(options);
    let mut file = File::open(image)?;
    let mut size = 0;
    loop {
        // As chunks come from a TLS connection.
        let mut chunk = vec![0; 64 << 10];
        let read = file.read(&mut chunk)?;
        chunk.truncate(read);
        if read == 0 {
            decoder.end_of_input();
        } else {
            decoder.push(Bytes::from(chunk));
        }
        while let Some(event) = decoder.next_event()? {
            size += match black_box(event) {
                Event::Data { bytes, .. } => bytes.len() as u64,
                Event::Zero { len, .. } => len,
            };
        }
        if read == 0 {
            break;
        }
    }
    let image = decoder.finish()?;
    if image.raw_size == size { Ok(size) } else { Err("events do not cover the image".into()) }
}

fn liblzma_stream(image: &Path) -> Result<u64> {
    let mut decoder = liblzma::read::XzDecoder::new_multi_decoder(File::open(image)?);
    let (mut buffer, mut size) = (vec![0; 256 << 10], 0);
    loop {
        match decoder.read(&mut buffer)? {
            0 => return Ok(size),
            n => size += black_box(&buffer[..n]).len() as u64,
        }
    }
}

#[allow(clippy::print_stdout)]
fn print(image: &Path, rounds: usize, results: &[Outcome]) -> Result<()> {
    let bytes = results[0].bytes;
    if results.iter().any(|result| result.bytes != bytes) {
        return Err("the contenders do not agree on the size of the image".into());
    }
    let seconds = |name: &str| {
        CONTENDERS.iter().position(|contender| *contender == name).map_or(f64::NAN, |at| results[at].seconds)
    };
    println!("{} bytes from {} bytes of .xz, best of {rounds} rounds", bytes, fs::metadata(image)?.len());
    println!("| | seconds | MB/s | x liblzma | x xzcat | peak MiB |\n|---|---|---|---|---|---|");
    for (name, result) in CONTENDERS.iter().zip(results) {
        println!(
            "| {name} | {:.3} | {:.0} | {:.1} | {:.1} | {} |",
            result.seconds,
            bytes as f64 / 1e6 / result.seconds,
            seconds("liblzma") / result.seconds,
            seconds("xzcat") / result.seconds,
            if result.peak_kib == 0 { "-".to_owned() } else { format!("{:.1}", result.peak_kib as f64 / 1024.0) },
        );
    }
    Ok(())
}

const CONTEND: &str = "--contend";
const CONTENDERS: [&str; 5] = ["ours, threads: 0", "ours, threads: 1", "ours, threads: 2", "liblzma", "xzcat"];

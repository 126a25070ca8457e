//! The files that a talconfig.yaml stands among, read through one seam: opened, commented out, filled in.

use super::dotenv;
use super::envsubst::{self, Directives, Substituted, Variables};
use super::error::TalhelperError;
use super::{FileName, Input};
use crate::sops::{self, Cleartext};
use crate::yaml;

/// Reads a file and opens it if it is encrypted.
pub(super) fn open(input: &Input<'_>, name: FileName<'_>) -> Result<Cleartext, TalhelperError> {
    match open_if_there(input, name)? {
        Some(text) => Ok(text),
        None => Err(TalhelperError::Absent { file: name.to_string() }),
    }
}

fn open_if_there(input: &Input<'_>, name: FileName<'_>) -> Result<Option<Cleartext>, TalhelperError> {
    let file = name.to_string();
    let text = match input.files.read(name) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        Err(reason) => return Err(TalhelperError::Read { file, reason }),
    };
    match sops::decrypt_if_encrypted(&text, input.keys) {
        Ok(text) => Ok(Some(text)),
        Err(source) => Err(TalhelperError::Sops { file, source }),
    }
}

/// All variables: the env files in their order, then those that were given outright.
pub(super) fn variables(input: &Input<'_>) -> Result<Variables, TalhelperError> {
    let mut variables = Variables::new();
    match input.env_files {
        Some(names) => {
            for name in names {
                let text = open(input, FileName::Given(name))?;
                add_variables(name, text.expose(), &mut variables)?;
            }
        }
        None => {
            for name in ENV_FILES {
                if let Some(text) = open_if_there(input, FileName::Beside(name))? {
                    add_variables(name, text.expose(), &mut variables)?;
                }
            }
        }
    }
    let given = input.env.iter().map(|(name, value)| (name.clone(), value.clone()));
    variables.extend(given);
    Ok(variables)
}

fn add_variables(file: &str, text: &str, variables: &mut Variables) -> Result<(), TalhelperError> {
    // A document marker is no line of an env file.
    let lines: Vec<&str> = text.split('\n').map(|line| if line.trim_end() == "---" { "" } else { line }).collect();
    let text = lines.join("\n");
    let failed = |line, problem| TalhelperError::Dotenv { file: file.to_owned(), line, problem };
    let found = dotenv::parse(&text, variables).map_err(|error| failed(error.line, error.problem))?;
    for (name, value) in found {
        if name.is_empty() {
            let nameless = |line: &str| {
                !line.contains([':', '=']) && !line.trim().is_empty() && !line.trim_start().starts_with('#')
            };
            let line = lines.iter().position(|line| nameless(line)).map_or(1, |at| at + 1);
            return Err(failed(line, "a line is no NAME: value".into()));
        }
        variables.insert(name, value);
    }
    Ok(())
}

/// The secrets file's name and text: the one that was named, or the last one that has a usual name.
pub(super) fn secrets(input: &Input<'_>) -> Result<(String, Cleartext), TalhelperError> {
    if let Some(name) = input.secrets_file {
        return Ok((name.to_owned(), open(input, FileName::Given(name))?));
    }
    for name in SECRETS_FILES.iter().rev() {
        if let Some(text) = open_if_there(input, FileName::Beside(name))? {
            return Ok(((*name).to_owned(), text));
        }
    }
    Err(TalhelperError::NoSecrets { file: input.talconfig.to_owned(), names: SECRETS_FILES.join(", ") })
}

/// Takes the comments out and puts the variables in.
pub(super) fn complete(file: &str, text: &str, variables: &Variables) -> Result<Substituted, TalhelperError> {
    let bare = yaml::without_comments(text).map_err(|error| TalhelperError::Yaml {
        file: file.to_owned(),
        line: error.at.line,
        problem: error.problem,
    })?;
    fill_in(file, &bare, variables)
}

/// Puts the variables in.
pub(super) fn fill_in(file: &str, text: &str, variables: &Variables) -> Result<Substituted, TalhelperError> {
    envsubst::substitute(text, variables, Directives::Keep).map_err(|error| TalhelperError::Variable {
        file: file.to_owned(),
        line: error.line,
        problem: error.problem,
    })
}

/// talhelper's defaults of `--env-file` and `--secret-file`.
const ENV_FILES: [&str; 4] = ["talenv.yaml", "talenv.sops.yaml", "talenv.yml", "talenv.sops.yml"];
const SECRETS_FILES: [&str; 4] = ["talsecret.yaml", "talsecret.sops.yaml", "talsecret.yml", "talsecret.sops.yml"];

mod flash;

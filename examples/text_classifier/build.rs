//! Packs the vocabulary, one word a line, into what the component looks words up in.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=vocabulary.txt");
    let lines = fs::read_to_string("vocabulary.txt").expect("the vocabulary can be read");
    let packed = tensorgate_sdk::text::pack(&lines).expect("every word is there once");
    let out = env::var_os("OUT_DIR").expect("cargo says where");
    fs::write(Path::new(&out).join("vocabulary"), packed).expect("it can be written");
}

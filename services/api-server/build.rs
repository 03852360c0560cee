//! Chooses the console that is built into the program, and writes the table of its files.
//!
//! Nothing is run and nothing is downloaded here. `scripts/dashboard` builds the console; its result is in
//! `dashboard/dist.local`, and in `dashboard/dist`, which is under version control. The first of these is taken:
//!
//! 1. the directory in `SIGNALBOX_DASHBOARD`;
//! 2. `dist.local`, if it was built from the present sources;
//! 3. `dist`, with a warning if it is older than the sources.
//!
//! `SIGNALBOX_DASHBOARD=require`, for releases, accepts only a console that was built from the present sources. Without
//! compressed files, api-server compresses them itself.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const VARIABLE: &str = "SIGNALBOX_DASHBOARD";

fn main() -> Result<()> {
    let dashboard = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("dashboard");
    let (committed, local) = (dashboard.join("dist"), dashboard.join("dist.local"));
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    println!("cargo:rerun-if-changed=build.rs");
    // Not the sources: editing them must not build the program anew. `scripts/dashboard` touches this file.
    println!("cargo:rerun-if-changed={}", committed.join("manifest.json").display());

    let sources = digest_of_sources(&dashboard)?;
    let chosen = match env::var(VARIABLE).ok().filter(|value| !value.is_empty()) {
        Some(word) if word == "require" => {
            let built = [local, committed].into_iter().find(|dir| is_built_from(dir, &sources));
            built.ok_or("the console is not built from the present sources: run scripts/dashboard --commit")?
        }
        Some(dir) => {
            println!("cargo:rerun-if-changed={dir}");
            PathBuf::from(dir)
        }
        None if is_built_from(&local, &sources) => local,
        None => {
            if !is_built_from(&committed, &sources) {
                println!("cargo:warning=the console is older than its sources; scripts/dashboard builds it anew");
            }
            committed
        }
    };
    let table = table_of(&chosen)?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("console_files.rs"), table)?;
    Ok(())
}

/// Returns whether the manifest of a built console names these sources.
fn is_built_from(dir: &Path, sources: &str) -> bool {
    let manifest = fs::read_to_string(dir.join("manifest.json")).unwrap_or_default();
    manifest.contains(&format!("\"sources\": \"{sources}\""))
}

/// Returns the digest of everything that the console is built from. `dashboard/tools/manifest.mjs` computes the same.
fn digest_of_sources(dashboard: &Path) -> Result<String> {
    let mut files = Vec::new();
    for name in ["src", "public"] {
        list(&dashboard.join(name), &mut files)?;
    }
    files.extend(
        ["index.html", "package-lock.json", "tsconfig.json", "vite.config.ts"].map(|name| dashboard.join(name)),
    );
    let mut named: Vec<(String, PathBuf)> = Vec::new();
    for file in files {
        let name = file.strip_prefix(dashboard)?.to_string_lossy().replace('\\', "/");
        // Tests change nothing in the result.
        if !name.contains(".test.") {
            named.push((name, file));
        }
    }
    named.sort();
    let mut digest = Fnv::default();
    for (name, file) in named {
        digest.add(name.as_bytes());
        digest.add(&[0]);
        // Line breaks depend on the platform of a checkout.
        let text: Vec<u8> = fs::read(file)?.into_iter().filter(|byte| *byte != b'\r').collect();
        digest.add(&text);
        digest.add(&[0]);
    }
    Ok(digest.text())
}

/// Adds the files below a directory.
fn list(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() { list(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// Returns the document and the other files, sorted by their paths, as items of Rust.
fn table_of(dir: &Path) -> Result<String> {
    let mut files = Vec::new();
    list(dir, &mut files).map_err(|error| format!("cannot read the console in {}: {error}", dir.display()))?;
    let mut named = Vec::new();
    for file in files {
        named.push((file.strip_prefix(dir)?.to_string_lossy().replace('\\', "/"), file));
    }
    named.sort();
    let mut document = None;
    let mut table = String::from("static FILES: &[File] = &[\n");
    for (name, file) in &named {
        let is_variant = [".gz", ".br"].iter().any(|ending| name.ends_with(ending));
        if is_variant || name == "manifest.json" {
            continue;
        }
        println!("cargo:rerun-if-changed={}", file.display());
        let media_type = media_type_of(name).ok_or_else(|| format!("{name} has an unknown type"))?;
        let mut digest = Fnv::default();
        digest.add(&fs::read(file)?);
        let variant = |ending: &str| {
            let path = PathBuf::from(format!("{}{ending}", file.display()));
            if path.is_file() { format!("Some({})", include(&path)) } else { "None".to_owned() }
        };
        let item = format!(
            "File {{ path: {:?}, media_type: {media_type:?}, digest: {:?}, identity: {}, gzip: {}, brotli: {} }}",
            format!("/{name}"),
            digest.text(),
            include(file),
            variant(".gz"),
            variant(".br"),
        );
        if name == "index.html" {
            document = Some(item);
        } else {
            writeln!(table, "    {item},")?;
        }
    }
    let document = document.ok_or_else(|| format!("the console in {} has no index.html", dir.display()))?;
    writeln!(table, "];\n\n/// The document that all pages get.\npub(super) static INDEX: File = {document};")?;
    Ok(table)
}

fn include(path: &Path) -> String {
    format!("include_bytes!({:?})", path.display().to_string())
}

fn media_type_of(name: &str) -> Option<&'static str> {
    Some(match name.rsplit('.').next()? {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

/// The hash function FNV-1a, which needs no library.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn text(&self) -> String {
        format!("{:016x}", self.0)
    }
}

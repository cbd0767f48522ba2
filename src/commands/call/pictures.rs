//! Pictures of a call: their options, the files that they are written to, and what is shown of them.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use terminal_size::{Width, terminal_size};

use super::{
    CallRequest,
    answer::PictureResult,
    client::{ServerClient, text_at},
    png_receipt::add_png_text,
};
use crate::commands::{CommandContext, named_paths};
use openlora_core::{
    atomic::{FileAccess, replace_file},
    error::{ExitClass, Failure},
};
use openlora_package::manifest::Digest;
use openlora_pictures::{Picture, ReadLimits, read_picture, terminal::TerminalDisplay};
use openlora_serve::PublishedUsage;

/// The path of the route.
pub(super) const IMAGES: &str = "/v1/images/generations";

/// The keyword of the receipt's id in a picture's file.
pub const PNG_RECEIPT: &str = "openlora:receipt";

/// The options of `call` that only pictures have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureOptions {
    /// File to write; with several pictures, each has its number before the extension.
    pub out: Option<PathBuf>,
    pub pictures: Option<u32>,
    /// Such as `64x64`.
    pub size: Option<String>,
    pub steps: Option<u32>,
    pub guidance: Option<f64>,
    pub seed: Option<u64>,
}

impl PictureOptions {
    /// The flags that were given, in the order of the help.
    fn given(&self) -> impl Iterator<Item = &'static str> {
        let flags = [
            ("--out", self.out.is_some()),
            ("--pictures", self.pictures.is_some()),
            ("--size", self.size.is_some()),
            ("--steps", self.steps.is_some()),
            ("--guidance", self.guidance.is_some()),
            ("--seed", self.seed.is_some()),
        ];
        flags
            .into_iter()
            .filter_map(|(flag, given)| given.then_some(flag))
    }

    /// Refuses the options of pictures in a call for text or labels.
    pub fn refuse(&self, what: &str) -> Result<(), Failure> {
        match self.given().next() {
            None => Ok(()),
            Some(flag) => {
                let message = format!("{flag} has no meaning in {what}");
                Err(Failure::new(ExitClass::Usage, message).with_hint(format!(
                    "leave {flag} out, or ask an adapter for pictures with --kind image"
                )))
            }
        }
    }

    /// The request's body.
    pub fn body(&self, model: &Value, prompt: &str) -> Value {
        let mut body = json!({ "model": model["id"], "prompt": prompt });
        let fields = [
            ("n", self.pictures.map(|it| json!(it))),
            ("size", self.size.as_ref().map(|it| json!(it))),
            ("steps", self.steps.map(|it| json!(it))),
            ("guidance", self.guidance.map(|it| json!(it))),
            ("seed", self.seed.map(|it| json!(it))),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                body[name] = value;
            }
        }
        // The route's only format. Other servers answer with an address otherwise.
        body["response_format"] = json!("b64_json");
        body
    }
}

/// Where pictures are written, checked before anything is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PictureFiles {
    /// None where the result carries the pictures itself.
    out: Option<PathBuf>,
}

impl PictureFiles {
    /// # Errors
    ///
    /// No file is named although nothing else would keep the pictures, or none can be written there.
    pub fn check(context: &CommandContext, request: &CallRequest) -> Result<Self, Failure> {
        let Some(out) = &request.pictures.out else {
            if context.printer.is_json() {
                return Ok(Self { out: None });
            }
            let message = "the call gives a picture, and no file is named for it";
            return Err(Failure::new(ExitClass::Usage, message)
                .with_hint("name one: -o picture.png; or ask for JSON: --json"));
        };
        check_name(out)?;
        let out = named_paths::absolute(context, out);
        for path in numbered(&out, request.pictures.pictures.unwrap_or(1) as usize) {
            require_writable(&path)?;
        }
        Ok(Self { out: Some(out) })
    }

    /// Writes the pictures of an answer, each with the receipt's id, and shows them.
    ///
    /// # Errors
    ///
    /// It has none or a broken one, or one cannot be written.
    pub fn take(
        &self,
        context: &CommandContext,
        client: &ServerClient,
        answer: &Value,
    ) -> Result<Vec<PictureResult>, Failure> {
        let items: Vec<Value> = client.typed(&answer["data"])?;
        if items.is_empty() {
            return Err(broken(client, "it has no picture"));
        }
        let id = text_at(answer, "id");
        let paths: Vec<Option<PathBuf>> = match &self.out {
            Some(out) => numbered(out, items.len()).into_iter().map(Some).collect(),
            None => items.iter().map(|_| None).collect(),
        };
        let mut results = Vec::with_capacity(items.len());
        for (item, path) in items.iter().zip(paths) {
            let received = ReceivedPicture::read(item).map_err(|why| broken(client, &why))?;
            let result = received.keep(id, path)?;
            if !context.printer.is_json() {
                received.print_picture(context, &result);
            }
            results.push(result);
        }
        Ok(results)
    }
}

/// Refuses names that say that something else than a PNG file is written.
fn check_name(out: &Path) -> Result<(), Failure> {
    let extension = out.extension().unwrap_or_default().to_ascii_lowercase();
    let other = ["jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff"];
    let (message, hint) = if out.as_os_str() == "-" {
        let message = "-o - names no file, and a picture is not printed";
        (
            message.to_owned(),
            "name one: -o picture.png; or ask for JSON: --json".to_owned(),
        )
    } else if other.iter().any(|it| extension == *it) {
        let better = out.with_extension("png");
        let message = format!("{}: pictures are written as PNG files", out.display());
        (message, format!("name it -o {}", better.display()))
    } else {
        return Ok(());
    };
    Err(Failure::new(ExitClass::Usage, message).with_hint(hint))
}

/// A picture as it arrived.
struct ReceivedPicture {
    png: Vec<u8>,
    picture: Picture,
    seed: Option<u64>,
}

impl ReceivedPicture {
    fn read(item: &Value) -> Result<Self, String> {
        let text = item["b64_json"].as_str();
        let text = text.ok_or_else(|| "a picture is not there as base64".to_owned())?;
        let png = STANDARD
            .decode(text)
            .map_err(|_| "a picture is not valid base64".to_owned())?;
        let picture = read_picture(&png, &ReadLimits::default())
            .map_err(|error| format!("a picture cannot be read: {error}"))?;
        Ok(Self {
            png,
            picture,
            seed: item["seed"].as_u64(),
        })
    }

    /// Writes the file, if one is named.
    fn keep(&self, id: &str, path: Option<PathBuf>) -> Result<PictureResult, Failure> {
        let b64_json = match &path {
            None => Some(STANDARD.encode(&self.png)),
            Some(path) => {
                // Other sellers' answers may have no id, or files with something behind their end.
                let marked = match id.is_empty() {
                    true => None,
                    false => add_png_text(&self.png, PNG_RECEIPT, id),
                };
                let bytes = marked.as_deref().unwrap_or(&self.png);
                replace_file(path, bytes, FileAccess::Everyone)
                    .map_err(|error| Failure::io("write", path, &error))?;
                None
            }
        };
        Ok(PictureResult {
            path,
            sha256: Digest::hash_bytes(&self.png).to_string(),
            width: self.picture.width,
            height: self.picture.height,
            seed: self.seed,
            b64_json,
        })
    }

    fn print_picture(&self, context: &CommandContext, result: &PictureResult) {
        let printer = &context.printer;
        if let Some(drawn) = self.drawn(context) {
            printer.picture(&drawn);
        }
        let Some(path) = &result.path else { return };
        let path = named_paths::shown(&context.settings, path);
        let seed = self.seed.map_or(String::new(), |it| format!(", seed {it}"));
        let size = format!("{}x{}", result.width, result.height);
        printer.line(format!("{}  {size}{seed}", path.display()));
    }
}

/// Cells of a picture on a terminal, at most.
const SHOWN_COLUMNS: u16 = 32;

impl ReceivedPicture {
    /// The picture for the terminal on standard output, if that is one which can show it.
    fn drawn(&self, context: &CommandContext) -> Option<Vec<u8>> {
        if !std::io::stdout().is_terminal() || context.printer.is_accessible() {
            return None;
        }
        let display = TerminalDisplay::detect(&|name| std::env::var(name).ok())?;
        let (Width(width), _) = terminal_size()?;
        display.render(&self.picture, width.min(SHOWN_COLUMNS)).ok()
    }
}

/// The files of so many pictures: one has the name itself, several have numbers from 1.
fn numbered(out: &Path, pictures: usize) -> Vec<PathBuf> {
    if pictures <= 1 {
        return vec![out.to_owned()];
    }
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    let end = out.extension().map(|it| it.to_string_lossy());
    let end = end.map_or(String::new(), |it| format!(".{it}"));
    let name = |number: usize| out.with_file_name(format!("{stem}-{number}{end}"));
    (1..=pictures).map(name).collect()
}

/// A file that exists is replaced.
fn require_writable(path: &Path) -> Result<(), Failure> {
    let wrong = |found: &str| {
        let message = format!("{}: {found}, expected a file to write", path.display());
        Failure::new(ExitClass::BadInput, message)
    };
    match path.metadata() {
        Ok(found) if found.is_dir() => return Err(wrong("a folder")),
        Ok(found) if !found.is_file() => return Err(wrong("a device")),
        _ => {}
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(wrong("its folder is not there").with_hint(format!(
            "make the folder first: mkdir -p {}",
            folder.display()
        )));
    }
    // Permissions, read-only file systems and full disks show only when something is written.
    let draft = tempfile::Builder::new()
        .prefix(".openlora-")
        .tempfile_in(folder);
    draft
        .map(drop)
        .map_err(|error| Failure::io("write a file into", folder, &error))
}

fn broken(client: &ServerClient, why: &str) -> Failure {
    let message = format!("the answer of {} cannot be used: {why}", client.place());
    Failure::new(ExitClass::Verification, message)
}

/// Usage as an answer states it, where no receipt does: with the names of text, or with those of
/// pictures.
pub(super) fn stated_usage(
    client: &ServerClient,
    stated: &Value,
) -> Result<PublishedUsage, Failure> {
    if stated.get("input_tokens").is_none() {
        return client.typed(stated);
    }
    let renamed = json!({
        "prompt_tokens": stated["input_tokens"],
        "completion_tokens": stated["output_tokens"],
        "total_tokens": stated["total_tokens"],
        "pictures": stated["pictures"],
        "evaluations": stated["evaluations"],
    });
    client.typed(&renamed)
}

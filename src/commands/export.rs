//! `export`: writes the adapter of a package or a run for other programs.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{CommandContext, named_paths, project, verify};
use openlora_core::{
    atomic,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_model::{
    BaseModel,
    adapter::{self, LoraAdapter},
    dataset::Task,
    export::{
        AdapterExportError, GgufAdapterNames, WrittenExport, write_diffusers, write_gguf,
        write_merged, write_peft,
    },
};
use openlora_package::{BaseFacts, MANIFEST_FILE, Manifest};

/// The command-line request besides settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRequest {
    /// A package, a run or the folder of an adapter; defaults to the latest run.
    pub adapter: Option<PathBuf>,
    pub format: AdapterFormat,
    pub out: PathBuf,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdapterFormat {
    /// The two files of PEFT.
    Peft,
    /// The base with the adapter added to its weights, as transformers loads it.
    Merged,
    /// An adapter file of llama.cpp.
    Gguf,
    /// The adapter file of diffusers, for adapters that make pictures.
    Diffusers,
}

impl AdapterFormat {
    /// Refuses a form that only adapters for text have.
    fn require_form_of(self, adapter: &LoraAdapter) -> Result<(), AdapterExportError> {
        let form = match self {
            Self::Peft | Self::Diffusers => return Ok(()),
            Self::Merged => "merged",
            Self::Gguf => "gguf",
        };
        match adapter.task.as_ref().map(|card| &card.task) {
            Some(Task::Image) => Err(AdapterExportError::PicturesOnly {
                dir: adapter.dir.clone(),
                form,
            }),
            _ => Ok(()),
        }
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ExportReport {
    export: PathBuf,
    format: AdapterFormat,
    /// Names of the written files.
    files: Vec<String>,
    /// Size of all of them.
    bytes: u64,
    /// The base that was used; absent for `peft` and `diffusers`, which need none.
    base: Option<String>,
}

pub async fn run(context: &CommandContext, request: ExportRequest) -> Result<ExitStatus, Failure> {
    let owned = context.clone();
    let work = tokio::task::spawn_blocking(move || work(&owned, &request));
    let report = work.await.map_err(|error| {
        Failure::new(ExitClass::Internal, format!("the export stopped: {error}"))
    })??;
    print_report(context, &report);
    Ok(ExitStatus::Success)
}

fn work(context: &CommandContext, request: &ExportRequest) -> Result<ExportReport, Failure> {
    let source = ExportSource::open(context, request.adapter.as_deref())?;
    let out = named_paths::absolute(context, &request.out);
    request.format.require_form_of(&source.adapter)?;
    let (written, base) = match request.format {
        AdapterFormat::Peft => {
            source.require_usable(None)?;
            (write_peft(&source.adapter, &out)?, None)
        }
        AdapterFormat::Merged => {
            let base = source.base(context)?;
            (
                merged(context, &source.adapter, &base, &out)?,
                Some(base.id),
            )
        }
        AdapterFormat::Gguf => {
            let base = source.base(context)?;
            let names = GgufAdapterNames {
                adapter: source.name(),
                base: base.id.clone(),
            };
            let written = write_gguf(&source.adapter, &base, &names, &out)?;
            (written, Some(base.id))
        }
        AdapterFormat::Diffusers => {
            source.require_usable(None)?;
            (write_diffusers(&source.adapter, &out)?, None)
        }
    };
    Ok(ExportReport {
        export: written.path,
        format: request.format,
        files: written.files,
        bytes: written.bytes,
        base,
    })
}

const MEGABYTE: u64 = 1_000_000;

fn merged(
    context: &CommandContext,
    adapter: &LoraAdapter,
    base: &BaseModel,
    out: &Path,
) -> Result<WrittenExport, AdapterExportError> {
    let sizes = base.weight_files()?;
    let sizes = sizes.iter().filter_map(|path| path.metadata().ok());
    let total: u64 = sizes.map(|file| file.len()).sum();
    let mut progress = context.printer.progress("written MB", total / MEGABYTE);
    let mut done = 0;
    let written = write_merged(adapter, base, out, &mut |bytes| {
        done += bytes;
        progress.update(done / MEGABYTE, "");
    });
    progress.finish();
    written
}

/// The adapter that is exported, and the package that it lies in.
struct ExportSource {
    adapter: LoraAdapter,
    /// `None` for a run or a folder without a manifest.
    manifest: Option<Manifest>,
}

impl ExportSource {
    fn open(context: &CommandContext, wanted: Option<&Path>) -> Result<Self, Failure> {
        let dir = match wanted {
            Some(wanted) => project::adapter_folder(context, wanted)?,
            None => project::finished_run(context, None, "the adapter's folder")?.adapter(),
        };
        atomic::recover_folder(&dir).map_err(|error| Failure::io("recover", &dir, &error))?;
        let manifest = match dir.join(MANIFEST_FILE).is_file() {
            true => Some(openlora_package::read(&dir)?.manifest),
            false => None,
        };
        Ok(Self {
            adapter: adapter::read(&dir)?,
            manifest,
        })
    }

    /// Refuses a package of which a check fails.
    fn require_usable(&self, base: Option<&BaseModel>) -> Result<(), Failure> {
        if self.manifest.is_none() {
            return Ok(());
        }
        let facts = match base {
            Some(base) => Ok(BaseFacts::from_base(base)?),
            None => Err("the base is not needed".to_owned()),
        };
        verify::require_usable(&self.adapter.dir, &facts)
    }

    /// The base of `--base`, or the one that the adapter names, or that of the settings.
    fn base(&self, context: &CommandContext) -> Result<BaseModel, Failure> {
        let by_flag = project::flags(&context.settings)
            .iter()
            .any(|flag| flag == "base.id");
        let card = self.adapter.task.as_ref().map(|card| &card.base_id);
        let named = card.or(self.adapter.config.base_model_name_or_path.as_ref());
        let id = named.filter(|_| !by_flag).map(String::as_str);
        let base = project::base(context, id)?;
        self.require_usable(Some(&base))?;
        Ok(base)
    }

    fn name(&self) -> String {
        let card = self.adapter.task.as_ref().map(|card| card.name.clone());
        let stated = self.manifest.as_ref().map(|manifest| manifest.name.clone());
        stated.or(card).unwrap_or_else(|| {
            let folder = self.adapter.dir.file_name().unwrap_or_default();
            folder.to_string_lossy().into_owned()
        })
    }
}

fn print_report(context: &CommandContext, report: &ExportReport) {
    let printer = &context.printer;
    if printer.is_json() {
        return printer.json(report);
    }
    let shown = named_paths::shown(&context.settings, &report.export);
    printer.line(format!("export        {}", shown.display()));
    if let Some(base) = &report.base {
        printer.line(format!("base          {base}"));
    }
    printer.line(format!("files         {}", report.files.join(", ")));
    printer.line(format!("size          {} bytes", report.bytes));
    let hint = match report.format {
        AdapterFormat::Peft => "load it with PeftModel.from_pretrained(base, DIR)",
        AdapterFormat::Merged => "load it with AutoModelForCausalLM.from_pretrained(DIR)",
        AdapterFormat::Gguf => "load it with `llama-cli --model BASE.gguf --lora FILE`",
        AdapterFormat::Diffusers => "load it with pipeline.load_lora_weights(DIR)",
    };
    printer.hint(hint);
}

//! `init`: writes a complete project from an embedded template.

mod sized;
mod templates;

use std::{
    borrow::Cow,
    io::{ErrorKind, IsTerminal},
    path::{Path, PathBuf},
};

use serde::Serialize;

pub use sized::SizedBase;
pub use templates::{ProjectTemplate, TEMPLATES};

use super::{CommandContext, ask};
use openlora_core::{
    atomic::{self, FolderDraft},
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_model::nano::PICO;

/// The template and the target folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitRequest {
    /// Named after the template when unset.
    pub dir: Option<PathBuf>,
    pub template: Option<String>,
    /// The base model, if it is not the template's.
    pub base: Option<String>,
    /// List the templates instead.
    pub list: bool,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct InitReport<'a> {
    dir: &'a Path,
    template: &'a str,
    files: Vec<String>,
    /// The base model, if it is not the template's.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<&'a SizedBase>,
}

/// A path in the project with `/`, and a content.
type ProjectFile = (String, Cow<'static, [u8]>);

/// Writes a project, or lists the templates.
pub fn run(context: &CommandContext, request: &InitRequest) -> Result<ExitStatus, Failure> {
    if request.list {
        return Ok(list(context));
    }
    let (template, dir) = match &request.template {
        Some(name) => (
            find(name)
                .ok_or_else(|| unknown(name, "`openlora init --list` says what each is for"))?,
            request.dir.clone(),
        ),
        None => asked(context, request)?,
    };
    let dir = dir.unwrap_or_else(|| PathBuf::from(template.name));
    let base = request
        .base
        .as_deref()
        .filter(|base| *base != template.base);
    if let (true, Some(other)) = (template.base == PICO, base) {
        let name = template.name;
        let message =
            format!("the template `{name}` is written for the base `{PICO}`, not {other}");
        return Err(Failure::new(ExitClass::Usage, message)
            .with_hint("leave --base out, and set base.id in its openlora.toml to another base that makes pictures"));
    }
    let base = base
        .map(|base| SizedBase::find(context, base))
        .transpose()?;
    let plain = template
        .files()
        .map(|(name, bytes)| (name, Cow::Borrowed(bytes)));
    let files: Vec<ProjectFile> = match &base {
        None => plain.collect(),
        Some(base) => plain.map(|file| base.fit(file)).collect::<Result<_, _>>()?,
    };
    write(&files, &dir)?;
    let files = files.into_iter().map(|(name, _)| name).collect();
    report(
        context,
        &InitReport {
            dir: &dir,
            template: template.name,
            files,
            base: base.as_ref(),
        },
    );
    Ok(ExitStatus::Success)
}

/// Asks for the template, and for the folder unless it was named.
///
/// # Errors
///
/// There is no terminal to ask at, or the input ends.
fn asked(
    context: &CommandContext,
    request: &InitRequest,
) -> Result<(&'static ProjectTemplate, Option<PathBuf>), Failure> {
    if context.no_input || !std::io::stdin().is_terminal() {
        let names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        let message = format!("no template is named, expected one of {}", names.join(", "));
        return Err(Failure::new(ExitClass::Usage, message)
            .with_hint("name one: `openlora init --template sentiment`; `openlora init --list` says what each is for"));
    }
    context.printer.note("Templates:");
    for (number, ProjectTemplate { name, about, .. }) in (1..).zip(TEMPLATES) {
        context
            .printer
            .note(format!("  {number}  {name:<10} {about}"));
    }
    let template = asked_template(context)?;
    if request.dir.is_some() {
        return Ok((template, request.dir.clone()));
    }
    Ok((template, Some(asked_folder(context, template)?)))
}

/// Asks until the answer is a template's number or name, or nothing, which means the first one.
fn asked_template(context: &CommandContext) -> Result<&'static ProjectTemplate, Failure> {
    let first = &TEMPLATES[0];
    let question = format!("Template, by number or name ({}): ", first.name);
    loop {
        let answer = ask::line(context, &question)?;
        if answer.is_empty() {
            return Ok(first);
        }
        let number = answer.parse::<usize>().ok();
        let numbered = number.and_then(|it| TEMPLATES.get(it.checked_sub(1)?));
        if let Some(template) = numbered.or_else(|| find(&answer)) {
            return Ok(template);
        }
        let numbers = format!("type a name, or a number from 1 to {}", TEMPLATES.len());
        context.printer.refused(&unknown(&answer, &numbers));
    }
}

/// Asks until a project can be written to the answer, or to the folder named after the template.
fn asked_folder(context: &CommandContext, template: &ProjectTemplate) -> Result<PathBuf, Failure> {
    let question = format!("Folder ({}): ", template.name);
    loop {
        let answer = ask::line(context, &question)?;
        let folder = match answer.as_str() {
            "" => template.name,
            answer => answer,
        };
        match refuse_to_mix(folder.as_ref()) {
            Ok(_) => return Ok(folder.into()),
            Err(refused) => context.printer.refused(&refused),
        }
    }
}

fn list(context: &CommandContext) -> ExitStatus {
    if context.printer.is_json() {
        let all: Vec<_> = TEMPLATES
            .iter()
            .map(|entry| serde_json::json!({ "name": entry.name, "about": entry.about }))
            .collect();
        context.printer.json(&all);
    } else {
        for ProjectTemplate { name, about, .. } in TEMPLATES {
            context.printer.line(format!("{name:<10} {about}"));
        }
    }
    ExitStatus::Success
}

fn find(name: &str) -> Option<&'static ProjectTemplate> {
    TEMPLATES.iter().find(|template| template.name == name)
}

/// The error for a name that no template has, with another hint where none is similar.
fn unknown(name: &str, otherwise: &str) -> Failure {
    let names = TEMPLATES.iter().map(|template| template.name);
    let all = names.clone().collect::<Vec<_>>().join(", ");
    let near = names
        .clone()
        .find(|known| strsim::osa_distance(known, name) <= 2);
    let message = format!("no template `{name}`, expected one of {all}");
    Failure::new(ExitClass::Usage, message).with_hint(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise.to_owned(),
    })
}

/// Writes all files or none.
fn write(files: &[ProjectFile], dir: &Path) -> Result<(), Failure> {
    let exists = refuse_to_mix(dir)?;
    let beside = if exists { dir } else { atomic::parent(dir) };
    create_parents(beside)?;
    let draft = FolderDraft::in_folder(beside);
    let draft = draft.map_err(|error| Failure::io("write in", beside, &error))?;
    for (name, bytes) in files {
        draft
            .write(name, bytes)
            .map_err(|error| Failure::io("write", &dir.join(name), &error))?;
    }
    let moved = if exists {
        move_into(&draft, dir)
    } else {
        draft.open_to_everyone().and_then(|()| draft.replace(dir))
    };
    moved.map_err(|error| Failure::io("write", dir, &error))
}

/// Whether the folder exists; it must then be empty.
fn refuse_to_mix(dir: &Path) -> Result<bool, Failure> {
    let shown = dir.display();
    let mut entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(Failure::new(ExitClass::Usage, format!("{shown} is a file"))
                .with_hint("name a folder that does not exist yet"));
        }
        Err(error) => return Err(Failure::io("read", dir, &error)),
    };
    if entries.next().is_some() {
        return Err(
            Failure::new(ExitClass::Usage, format!("{shown} is not empty"))
                .with_hint("name a folder that does not exist yet, or an empty one"),
        );
    }
    Ok(true)
}

fn create_parents(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|error| Failure::io("create", dir, &error))
}

/// Moves the files into an existing empty folder, which may be a shell's working directory. The
/// entries are moved one by one, and moved back if one fails.
fn move_into(draft: &FolderDraft, dir: &Path) -> std::io::Result<()> {
    let mut moved = Vec::new();
    for entry in std::fs::read_dir(draft.path())? {
        let entry = entry?;
        let to = dir.join(entry.file_name());
        if let Err(error) = std::fs::rename(entry.path(), &to) {
            for (from, to) in moved {
                // An entry that cannot be moved back stays; the first error explains why.
                let _ = std::fs::rename(to, from);
            }
            return Err(error);
        }
        moved.push((entry.path(), to));
    }
    Ok(())
}

fn report(context: &CommandContext, written: &InitReport<'_>) {
    let InitReport {
        dir,
        template,
        files,
        base,
    } = written;
    if context.printer.is_json() {
        return context.printer.json(written);
    }
    let shown = dir.display();
    context.printer.line(format!(
        "{shown}: {} files of the template {template}",
        files.len(),
    ));
    if let Some(base) = base {
        context.printer.line(base.to_string());
    }
    let enter = if *dir == Path::new(".") {
        String::new()
    } else {
        format!("cd {shown} && ")
    };
    let plan = match base {
        Some(_) => "openlora train --plan\n",
        None => "",
    };
    context.printer.note(format!(
        "next:\n{enter}openlora data check\n{plan}openlora train\nopenlora deploy\nopenlora serve --local"
    ));
}

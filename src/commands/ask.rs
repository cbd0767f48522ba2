//! Secrets and confirmations, typed at the terminal or read from files. Nothing read here is
//! printed, and secrets are never taken from the command line.

use std::{
    io::{IsTerminal, Read},
    path::Path,
};

use zeroize::Zeroizing;

use super::{CommandContext, named_paths};
use openlora_core::{
    error::{ExitClass, Failure},
    private::foreign_text::clean_line,
};
use openlora_wallet::{KeystoreError, Password};

/// Longest secret that is read from a file; a keystore takes about 500 bytes.
const LONGEST: u64 = 64 * 1024;

/// The password that opens a keystore.
pub fn password(
    context: &CommandContext,
    file: Option<&Path>,
    account: &str,
) -> Result<Password, Failure> {
    match file {
        Some(file) => from_file(file),
        None => Ok(Password::new(typed(
            context,
            &format!("Password of {account}: "),
            "password",
        )?)),
    }
}

/// The password for a new keystore, typed twice.
pub fn new_password(
    context: &CommandContext,
    file: Option<&Path>,
    account: &str,
) -> Result<Password, Failure> {
    if let Some(file) = file {
        let password = from_file(file)?;
        return match password.weakness() {
            // An empty one has a message of its own.
            Some(weakness) if !password.is_empty() => {
                let message = format!(
                    "the password of {} is too easy to guess: {weakness}",
                    shown(file)
                );
                Err(Failure::new(ExitClass::Wallet, message).with_hint("use several words"))
            }
            _ => Ok(password),
        };
    }
    let mut tries = 1..=TRIES;
    loop {
        let refused = match typed_twice(context, account)? {
            Ok(password) => return Ok(password),
            Err(refused) => refused,
        };
        if tries.next() == Some(TRIES) {
            return Err(refused);
        }
        context.printer.refused(&refused);
    }
}

/// How often a typed password may be wrong.
const TRIES: u32 = 3;

/// A new password, checked before it is typed again. The inner error is the user's to mend.
fn typed_twice(
    context: &CommandContext,
    account: &str,
) -> Result<Result<Password, Failure>, Failure> {
    let question = format!("Password for the account {account}: ");
    let once = Password::new(typed(context, &question, "password")?);
    if let Some(weakness) = once.weakness() {
        let message = format!("the password is too easy to guess: {weakness}");
        return Ok(Err(
            Failure::new(ExitClass::Wallet, message).with_hint("use several words")
        ));
    }
    let twice = Password::new(typed(context, "Repeat it: ", "password")?);
    if once == twice {
        return Ok(Ok(once));
    }
    let message = "the two passwords differ";
    Ok(Err(
        Failure::new(ExitClass::Wallet, message).with_hint("type them again")
    ))
}

/// What `open` makes of the account's password. A typed password that does not fit is asked for
/// again, a few times.
pub fn opened<T>(
    context: &CommandContext,
    file: Option<&Path>,
    account: &str,
    mut open: impl FnMut(Password) -> Result<T, KeystoreError>,
) -> Result<T, Failure> {
    let mut tries = 1..=TRIES;
    loop {
        let password = password(context, file, account)?;
        match open(password) {
            Err(KeystoreError::Locked { .. }) if file.is_none() && tries.next() != Some(TRIES) => {
                context.printer.warn("this is not the account's password");
            }
            other => return Ok(other?),
        }
    }
}

/// A private key or mnemonic, from a file or typed without echo.
pub fn secret(context: &CommandContext, from: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    match from {
        Some(file) => read(file, "a private key or mnemonic"),
        None => typed(context, "private key or mnemonic: ", "private key"),
    }
}

/// The file's single line is the password, without its line end.
fn from_file(file: &Path) -> Result<Password, Failure> {
    let text = read(file, "a password")?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.contains('\n') {
        let message = format!(
            "{} has more than one line, expected a password",
            shown(file)
        );
        return Err(Failure::new(ExitClass::Wallet, message));
    }
    Ok(Password::new(text.to_owned()))
}

fn shown(file: &Path) -> String {
    if file == Path::new("-") {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

fn read(file: &Path, expected: &str) -> Result<Zeroizing<String>, Failure> {
    if file != Path::new("-") {
        named_paths::require_file(file, expected)?;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
    let taken = if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(LONGEST + 1)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file)
            .and_then(|opened| opened.take(LONGEST + 1).read_to_end(&mut bytes))
    };
    taken.map_err(|error| Failure::io("read", file, &error))?;
    if bytes.len() as u64 > LONGEST {
        let message = format!("{} has more than {LONGEST} bytes", shown(file));
        return Err(Failure::new(ExitClass::Wallet, message));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Failure::new(
            ExitClass::Wallet,
            format!("{} is not text in UTF-8", shown(file)),
        )),
    }
}

fn typed(context: &CommandContext, prompt: &str, what: &str) -> Result<Zeroizing<String>, Failure> {
    let hint = match what {
        "password" => "give a file with --password-file or OPENLORA_PASSWORD_FILE",
        _ => "give a file with --from, or - for standard input",
    };
    if context.no_input {
        let message = format!("a {what} is needed and --no-input forbids asking for it");
        return Err(Failure::new(ExitClass::Wallet, message).with_hint(hint));
    }
    rpassword::prompt_password(clean_line(prompt))
        .map(Zeroizing::new)
        .map_err(|_| {
            let message = format!("a {what} is needed and there is no terminal to ask at");
            Failure::new(ExitClass::Wallet, message).with_hint(hint)
        })
}

/// Asks a question on stderr; the answer is the line typed, without the spaces around it.
///
/// # Errors
///
/// Standard input ended or cannot be read.
pub fn line(context: &CommandContext, question: &str) -> Result<String, Failure> {
    context.printer.question(question);
    let mut answer = String::new();
    match std::io::stdin().read_line(&mut answer) {
        Ok(1..) => Ok(answer.trim().to_owned()),
        Ok(0) => {
            // The end of the input leaves the cursor behind the question.
            if std::io::stdin().is_terminal() {
                context.printer.note("");
            }
            Err(Failure::new(
                ExitClass::Unconfirmed,
                "the input ended before the question was answered",
            ))
        }
        Err(error) => Err(Failure::io("read", Path::new("standard input"), &error)),
    }
}

/// Asks the user to type `word` before an irreversible operation.
pub fn confirm(context: &CommandContext, deed: &str, word: &str) -> Result<(), Failure> {
    if context.yes {
        return Ok(());
    }
    if context.no_input {
        let message = format!("{deed} needs a confirmation and --no-input forbids asking for it");
        return Err(Failure::new(ExitClass::Unconfirmed, message).with_hint("add --yes"));
    }
    context
        .printer
        .warn(format!("{deed}; type `{word}` to go on"));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && answer.trim() == word {
        return Ok(());
    }
    Err(Failure::new(
        ExitClass::Unconfirmed,
        format!("{deed}: not confirmed"),
    ))
}

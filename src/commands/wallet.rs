//! `wallet`: accounts in encrypted files, and their balances.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use zeroize::Zeroizing;

use super::{CommandContext, ask, network};
use openlora_chain::balance::{funds, in_units};
use openlora_core::{
    Address, atomic,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_wallet::{
    DEFAULT_PATH, ImportedSecret, KdfStrength, KeystoreDir, KeystoreEntry, KeystoreError,
    SecretKey, WalletAccount, find_ledger, open_bytes, parse_secret,
};

/// The key to import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportRequest {
    pub name: String,
    /// `-` is standard input; typed when `None`.
    pub from: Option<PathBuf>,
    /// Derivation path of a mnemonic, or on a Ledger.
    pub path: Option<String>,
    /// The key is on the connected Ledger and stays there.
    pub ledger: bool,
    pub password_file: Option<PathBuf>,
}

/// An account as every subcommand prints it.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct AccountReport {
    name: String,
    /// Absent if the keystore does not state it.
    address: Option<String>,
    keystore: PathBuf,
    /// Derivation path of an account whose key is on a Ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<String>,
    /// Whether it signs by default.
    chosen: bool,
}

/// An account's balances in base units, as decimal texts.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct BalanceReport {
    address: String,
    network: String,
    chain_id: u64,
    /// Wei of the chain's native coin.
    native: String,
    token: Option<TokenBalance>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct TokenBalance {
    address: String,
    symbol: String,
    decimals: u8,
    amount: String,
}

/// A revealed key, or where it was written.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ExportedKey {
    name: String,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

/// The keystores of this home.
pub fn keystores(context: &CommandContext) -> KeystoreDir {
    KeystoreDir::new(context.dirs.keystores())
}

/// The named account, the configured one, or the only one.
pub fn choose(context: &CommandContext, name: Option<&str>) -> Result<KeystoreEntry, Failure> {
    let wanted = name.or(context.settings.wallet.account.as_deref());
    Ok(keystores(context).choose(wanted)?)
}

/// The unlocked account: from the kernel's keyring if `wallet unlock` put it there and no password
/// file is named, otherwise with its password.
pub(super) fn unlock(
    context: &CommandContext,
    name: &str,
    password_file: Option<&Path>,
) -> Result<WalletAccount, Failure> {
    let store = keystores(context);
    if password_file.is_none()
        && let Some(account) = store.unlocked(name)?
    {
        let note = format!("{name} is unlocked; `openlora wallet lock` ends that");
        context.printer.detail(note);
        return Ok(account);
    }
    ask::opened(context, password_file, name, |password| {
        store.unlock(name, &password)
    })
}

/// How long an account stays unlocked at most.
const LONGEST_UNLOCK: Duration = Duration::from_secs(24 * 3600);

/// Keeps the account's key in the kernel's keyring, so that commands do not ask for its password.
pub fn keep_unlocked(
    context: &CommandContext,
    name: Option<&str>,
    time: &str,
    password_file: Option<&Path>,
) -> Result<ExitStatus, Failure> {
    let limit = parse_time(time)?;
    let entry = choose(context, name)?;
    if entry.ledger.is_some() {
        return Err(KeystoreError::KeyOnLedger { name: entry.name }.into());
    }
    let store = keystores(context);
    let key = ask::opened(context, password_file, &entry.name, |password| {
        store.open(&entry.name, &password)
    })?;
    store.keep_unlocked(&entry.name, &key, limit)?;
    if context.printer.is_json() {
        context.printer.json(&listed(context, entry));
        return Ok(ExitStatus::Success);
    }
    context
        .printer
        .line(format!("{} is unlocked for {time}", entry.name));
    context.printer.hint(
        "programs that run as you can sign with it until then; end it earlier with \
         `openlora wallet lock`",
    );
    Ok(ExitStatus::Success)
}

/// Such as 30m or 1h, up to a day.
fn parse_time(text: &str) -> Result<Duration, Failure> {
    let unit = text.chars().last();
    let seconds = match unit {
        Some('s') => Some(1),
        Some('m') => Some(60),
        Some('h') => Some(3600),
        _ => None,
    };
    let digits = text.get(..text.len().saturating_sub(1));
    let number = digits.and_then(|digits| digits.parse::<u64>().ok());
    let time = number
        .zip(seconds)
        .map(|(number, unit)| number.saturating_mul(unit));
    let time = time.filter(|seconds| (1..=LONGEST_UNLOCK.as_secs()).contains(seconds));
    time.map(Duration::from_secs).ok_or_else(|| {
        let message = format!("--for {text}: expected a time such as 30m or 1h, at most 24h");
        Failure::new(ExitClass::Usage, message)
    })
}

/// Removes the keys of the named account, or of all, from the kernel's keyring.
pub fn lock(context: &CommandContext, name: Option<&str>) -> Result<ExitStatus, Failure> {
    let store = keystores(context);
    let names: Vec<String> = match name {
        Some(name) => vec![store.entry(name)?.name],
        None => store.list()?.into_iter().map(|entry| entry.name).collect(),
    };
    let mut locked = Vec::new();
    for name in names {
        if store.lock(&name)? {
            locked.push(name);
        }
    }
    let printer = &context.printer;
    if printer.is_json() {
        let entries: Result<Vec<_>, _> = locked.iter().map(|name| store.entry(name)).collect();
        let reports = entries?.into_iter().map(|entry| listed(context, entry));
        printer.json(&reports.collect::<Vec<_>>());
    } else if locked.is_empty() {
        printer.line("no account was unlocked");
    } else {
        printer.line(format!("locked {}", locked.join(", ")));
    }
    Ok(ExitStatus::Success)
}

pub fn new(
    context: &CommandContext,
    name: &str,
    password_file: Option<&Path>,
    light_kdf: bool,
) -> Result<ExitStatus, Failure> {
    let strength = match light_kdf {
        true => KdfStrength::Light,
        false => KdfStrength::Standard,
    };
    let store = keystores(context);
    store.require_free(name)?;
    let password = ask::new_password(context, password_file, name)?;
    let entry = store.create(name, &SecretKey::random()?, &password, strength)?;
    Ok(created(context, entry))
}

pub fn import(context: &CommandContext, request: &ImportRequest) -> Result<ExitStatus, Failure> {
    let store = keystores(context);
    store.require_free(&request.name)?;
    if request.ledger {
        let path = request.path.as_deref().unwrap_or(DEFAULT_PATH);
        let entry = store.add_ledger_account(&request.name, &find_ledger(path)?)?;
        return Ok(remembered(context, entry));
    }
    let password_file = request.password_file.as_deref();
    let stdin = Some(Path::new("-"));
    if request.from.as_deref() == stdin && password_file == stdin {
        let message = "--from - and --password-file - both read standard input";
        return Err(Failure::new(ExitClass::Usage, message).with_hint("give one of them a file"));
    }
    let secret = ask::secret(context, request.from.as_deref())?;
    let (key, password) = match parse_secret(&secret, request.path.as_deref())? {
        ImportedSecret::Key(key) => (
            key,
            ask::new_password(context, password_file, &request.name)?,
        ),
        ImportedSecret::Keystore(bytes) => {
            let path = request.from.clone().unwrap_or_default();
            let shown = path.display().to_string();
            ask::opened(context, password_file, &shown, |password| {
                Ok((open_bytes(&path, &bytes, &password)?, password))
            })?
        }
    };
    let entry = store.create(&request.name, &key, &password, KdfStrength::Standard)?;
    Ok(created(context, entry))
}

fn created(context: &CommandContext, entry: KeystoreEntry) -> ExitStatus {
    let path = entry.path.clone();
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&listed(context, entry));
    } else {
        printer.line(address_of(&entry));
        printer.note(format!("the key is in {}", path.display()));
    }
    printer.hint(format!(
        "back up {} and its password: without both the account is lost for good",
        path.display()
    ));
    ExitStatus::Success
}

fn remembered(context: &CommandContext, entry: KeystoreEntry) -> ExitStatus {
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&listed(context, entry));
    } else {
        printer.line(address_of(&entry));
        printer.note("its key stays on the Ledger, which asks before it signs");
    }
    ExitStatus::Success
}

fn address_of(entry: &KeystoreEntry) -> String {
    entry
        .address
        .map_or_else(|| "unknown until unlocked".to_owned(), |a| a.to_string())
}

fn listed(context: &CommandContext, entry: KeystoreEntry) -> AccountReport {
    let chosen = choose(context, None).is_ok_and(|chosen| chosen.name == entry.name);
    AccountReport {
        name: entry.name,
        address: entry.address.map(|address| address.to_string()),
        keystore: entry.path,
        ledger: entry.ledger,
        chosen,
    }
}

pub fn list(context: &CommandContext) -> Result<ExitStatus, Failure> {
    let all = keystores(context).list()?;
    let printer = &context.printer;
    let all: Vec<AccountReport> = all.into_iter().map(|e| listed(context, e)).collect();
    if printer.is_json() {
        printer.json(&all);
        return Ok(ExitStatus::Success);
    }
    if all.is_empty() {
        printer.hint("make an account with `openlora wallet new NAME`");
    }
    for entry in all {
        let mark = if entry.chosen { "*" } else { " " };
        let address = entry.address.as_deref().unwrap_or("unknown until unlocked");
        let place = if entry.ledger.is_some() {
            " Ledger"
        } else {
            ""
        };
        printer.line(format!("{mark} {:<20} {address}{place}", entry.name));
    }
    Ok(ExitStatus::Success)
}

pub fn address(context: &CommandContext, name: Option<&str>) -> Result<ExitStatus, Failure> {
    let entry = choose(context, name)?;
    if context.printer.is_json() {
        context.printer.json(&listed(context, entry));
    } else {
        context.printer.line(address_of(&entry));
    }
    Ok(ExitStatus::Success)
}

pub async fn balance(
    context: &CommandContext,
    account: Option<&str>,
) -> Result<ExitStatus, Failure> {
    let account = account_address(context, account)?;
    let network = network::reached(context).await?;
    let found = funds(&network, account).await?;
    let token = network.token.as_ref().zip(found.token);
    let balance = BalanceReport {
        address: account.to_string(),
        network: network.name.clone(),
        chain_id: network.chain_id,
        native: found.native.to_string(),
        token: token.map(|(token, amount)| TokenBalance {
            address: token.address.to_string(),
            symbol: token.symbol.clone(),
            decimals: token.decimals,
            amount: amount.to_string(),
        }),
    };
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&balance);
        return Ok(ExitStatus::Success);
    }
    printer.line(format!("{} on {}", balance.address, balance.network));
    printer.line(format!("{} ETH", in_units(found.native, 18)));
    if let Some((token, amount)) = token {
        let amount = in_units(amount, token.decimals);
        printer.line(format!("{amount} {}", token.symbol));
    }
    Ok(ExitStatus::Success)
}

pub(super) fn account_address(
    context: &CommandContext,
    account: Option<&str>,
) -> Result<Address, Failure> {
    if let Some(text) = account.filter(|text| text.starts_with("0x")) {
        return text.parse().map_err(|problem| {
            Failure::new(ExitClass::Usage, format!("the address is wrong: {problem}"))
        });
    }
    let entry = choose(context, account)?;
    entry.address.ok_or_else(|| {
        let message = format!("{} does not say its address", entry.path.display());
        Failure::new(ExitClass::Wallet, message)
            .with_hint("import it again: openlora wallet import NAME --from FILE")
    })
}

pub fn export(
    context: &CommandContext,
    name: Option<&str>,
    out: Option<&Path>,
    password_file: Option<&Path>,
) -> Result<ExitStatus, Failure> {
    let entry = choose(context, name)?;
    if entry.ledger.is_some() {
        return Err(KeystoreError::KeyOnLedger { name: entry.name }.into());
    }
    let out_path = out.map(|out| context.settings.working_dir.join(out));
    if let Some(taken) = out_path.as_ref().filter(|path| path.exists()) {
        let message = format!("cannot write {}: file exists", taken.display());
        return Err(Failure::new(ExitClass::Environment, message));
    }
    let deed = format!("revealing the private key of `{}`", entry.name);
    ask::confirm(context, &deed, &entry.name)?;
    let store = keystores(context);
    let key = ask::opened(context, password_file, &entry.name, |password| {
        store.open(&entry.name, &password)
    })?;
    let revealed = key.reveal();
    if let Some(out) = &out_path {
        let line = Zeroizing::new(format!("{}\n", revealed.as_str()));
        atomic::create_file(out, line.as_bytes())
            .map_err(|error| Failure::io("write", out, &error))?;
    }
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&ExportedKey {
            name: entry.name,
            address: key.address().to_string(),
            private_key: out.is_none().then(|| revealed.to_string()),
            file: out.map(Path::to_owned),
        });
    } else if let Some(out) = out {
        printer.line(out.display().to_string());
    } else {
        printer.line(revealed.as_str());
    }
    Ok(ExitStatus::Success)
}

pub fn change_password(
    context: &CommandContext,
    name: Option<&str>,
    old: Option<PathBuf>,
    new: Option<PathBuf>,
) -> Result<ExitStatus, Failure> {
    let entry = choose(context, name)?;
    let stdin = Some(Path::new("-"));
    if old.as_deref() == stdin && new.as_deref() == stdin {
        let message = "both passwords read standard input";
        return Err(Failure::new(ExitClass::Usage, message).with_hint("give one of them a file"));
    }
    if entry.ledger.is_some() {
        return Err(KeystoreError::KeyOnLedger { name: entry.name }.into());
    }
    let store = keystores(context);
    let was = ask::opened(context, old.as_deref(), &entry.name, |password| {
        store.open(&entry.name, &password).map(|_| password)
    })?;
    let is = ask::new_password(context, new.as_deref(), &entry.name)?;
    store.change_password(&entry.name, &was, &is)?;
    store.lock(&entry.name)?;
    if context.printer.is_json() {
        context.printer.json(&listed(context, entry));
    } else {
        context
            .printer
            .line(format!("{} has a new password", entry.name));
    }
    Ok(ExitStatus::Success)
}

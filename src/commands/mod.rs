//! One file per command: takes resolved settings and returns an exit status. Commands only wire
//! modules together; the work is done in the library crates.

pub mod cli;
pub mod printer;
pub mod settings;

mod arguments;
pub mod ask;
pub mod attribution;
pub mod audit;
pub mod bench;
pub mod call;
pub mod channel;
pub mod chat;
pub mod claim;
pub mod completions;
pub mod config;
pub mod dash;
pub mod data;
pub mod demo;
pub mod deploy;
pub mod devnet;
mod distribution;
pub mod doctor;
pub mod earnings;
pub mod eval;
pub mod explore;
pub mod export;
pub mod figures;
mod guard;
pub mod init;
#[cfg(target_os = "linux")]
mod jail_parts;
pub mod log;
mod market;
pub mod mcp;
pub mod model_key;
mod money;
pub mod named_paths;
pub mod network;
mod notices;
pub mod package;
mod payer;
mod picture_project;
mod project;
pub mod proxy;
pub mod pull;
pub mod push;
pub mod receipts;
pub mod run;
pub mod search;
pub mod serve;
mod server_access;
pub mod settle;
pub mod shell;
mod signer;
pub mod store;
pub mod train;
mod train_inputs;
mod treasury;
mod tx_context;
pub mod verify;
pub mod wallet;
pub mod withdraw;

use crate::commands::{
    cli::{
        AttributionCommand, BenchCommand, ChannelCommand, CliCommand, ConfigCommand, DataCommand,
        DevnetCommand, LogCommand, ReceiptsCommand, StoreCommand, WalletCommand,
    },
    printer::Printer,
    settings::Settings,
};
use openlora_core::error::{ExitStatus, Failure};
use openlora_runtime::{home::AppDirs, published_log::LogSource};

/// What every command receives besides its own request.
#[derive(Clone, Debug)]
pub struct CommandContext {
    pub printer: Printer,
    pub settings: Settings,
    pub dirs: AppDirs,
    /// No network access besides loopback.
    pub offline: bool,
    /// Never ask; a question becomes an error.
    pub no_input: bool,
    /// Answer every question with yes.
    pub yes: bool,
}

impl CommandContext {
    /// A copy of a log must be a folder; a server is asked later.
    fn check_log_place(&self, text: &str) -> Result<(), Failure> {
        if !LogSource::is_address(text) {
            named_paths::folder(self, text.as_ref(), "a copy of a published log")?;
        }
        Ok(())
    }

    /// The published log at a server's URL or in a folder.
    fn open_log(&self, text: &str) -> Result<LogSource, Failure> {
        self.check_log_place(text)?;
        LogSource::open(text, &self.settings.working_dir, self.offline)
    }
}

/// Runs the command.
pub async fn dispatch(
    context: &CommandContext,
    command: CliCommand,
) -> Result<ExitStatus, Failure> {
    guard::raise(context);
    match command {
        CliCommand::Demo(args) => demo::run(context, args.into()).await,
        CliCommand::Dash(args) => dash::run(context, args.into()).await,
        CliCommand::Doctor { bench } => doctor::run(context, bench).await,
        CliCommand::Config(ConfigCommand::Show { origin }) => {
            config::print_settings(context, origin)
        }
        CliCommand::Config(ConfigCommand::Get { key }) => config::get(context, &key),
        CliCommand::Config(ConfigCommand::Path) => config::path(context),
        CliCommand::Config(ConfigCommand::Set { key, value, user }) => {
            config::set(context, &key, &value, user)
        }
        CliCommand::Completions { shell } => completions::completions(context, shell),
        CliCommand::Man => completions::man(context),
        CliCommand::Train(args) => train::run(context, (*args).into()).await,
        CliCommand::Eval(args) => eval::run(context, args.into()).await,
        CliCommand::Attribution(command) => run_attribution(context, command).await,
        CliCommand::Package(args) => package::run(context, args.into()).await,
        CliCommand::Verify(args) => verify::run(context, args.into()).await,
        CliCommand::Export(args) => export::run(context, args.into()).await,
        CliCommand::Push(args) => push::run(context, args.into()).await,
        CliCommand::Pull(args) => pull::run(context, args.into()).await,
        CliCommand::Deploy(args) => deploy::run(context, args.into()).await,
        CliCommand::Earnings(args) => earnings::run(context, args.into()).await,
        CliCommand::Explore(args) => explore::run(context, args.into()).await,
        CliCommand::Wallet(command) => run_wallet(context, command).await,
        CliCommand::Init(args) => init::run(context, &args.into()),
        CliCommand::Data(command) => run_data(context, command),
        CliCommand::Devnet(command) => run_devnet(context, command).await,
        CliCommand::Serve(args) => serve::run(context, args.into()).await,
        CliCommand::Run(args) => run::run(context, args.into()).await,
        CliCommand::Chat(args) => chat::run(context, args.into()).await,
        CliCommand::Bench(BenchCommand::Serve(args)) => bench::run(context, args.into()).await,
        CliCommand::Settle(args) => settle::run(context, args.into()).await,
        CliCommand::Withdraw(args) => withdraw::run(context, args.treasury.into(), args.to).await,
        CliCommand::Audit(args) => audit::run(context, args.into()).await,
        CliCommand::Claim(args) => claim::run(context, args.into()).await,
        CliCommand::Call(args) => call::run(context, (*args).into()).await,
        CliCommand::Search(args) => search::run(context, args.into()).await,
        CliCommand::Proxy(args) => proxy::run(context, args.into()).await,
        CliCommand::Mcp(args) => mcp::run(context, args.payer.into()).await,
        CliCommand::Channel(command) => run_channel(context, command).await,
        CliCommand::Receipts(command) => run_receipts(context, command).await,
        CliCommand::Store(command) => run_store(context, command),
        CliCommand::Log(command) => run_log(context, command).await,
    }
}

async fn run_attribution(
    context: &CommandContext,
    command: AttributionCommand,
) -> Result<ExitStatus, Failure> {
    match command {
        AttributionCommand::Build(args) => attribution::build(context, args.run).await,
        AttributionCommand::Inspect { run } => attribution::inspect(context, run.as_deref()),
        AttributionCommand::Verify { run, rebuild } => {
            attribution::verify(context, run, rebuild).await
        }
        AttributionCommand::Audit {
            run,
            contributor,
            answers,
        } => {
            let request = attribution::AttributionAuditRequest {
                run,
                contributors: contributor,
                answers,
            };
            attribution::audit(context, request).await
        }
    }
}

async fn run_channel(
    context: &CommandContext,
    command: ChannelCommand,
) -> Result<ExitStatus, Failure> {
    match command {
        ChannelCommand::Open(args) => channel::open(context, &args.into()).await,
        ChannelCommand::List => channel::list(context).await,
        ChannelCommand::Topup { channel, amount } => {
            channel::topup(context, &channel.into(), &amount).await
        }
        ChannelCommand::Refund(channel) => channel::refund(context, &channel.into()).await,
        ChannelCommand::Withdraw(channel) => channel::withdraw(context, &channel.into()).await,
    }
}

async fn run_receipts(
    context: &CommandContext,
    command: ReceiptsCommand,
) -> Result<ExitStatus, Failure> {
    match command {
        ReceiptsCommand::Show {
            id,
            why,
            proof,
            url,
        } => {
            if let Some(file) = proof {
                receipts::keep_proof(context, &id, url.as_deref(), &file).await?;
            }
            receipts::show_receipt(context, &id, why, url.as_deref()).await
        }
        ReceiptsCommand::List => receipts::list(context),
        ReceiptsCommand::Pending => receipts::pending(context),
        ReceiptsCommand::Forget { id } => receipts::forget(context, &id),
        ReceiptsCommand::Verify { receipt, url } => {
            receipts::verify(context, &receipt, url.as_deref()).await
        }
        ReceiptsCommand::Replay(args) => receipts::replay(context, (*args).into()).await,
    }
}

fn run_store(context: &CommandContext, command: StoreCommand) -> Result<ExitStatus, Failure> {
    match command {
        StoreCommand::List => store::list(context),
        StoreCommand::Remove { packages } => store::remove(context, &packages),
        StoreCommand::Keep {
            packages,
            no_longer,
        } => store::keep(context, &packages, !no_longer),
    }
}

async fn run_log(context: &CommandContext, command: LogCommand) -> Result<ExitStatus, Failure> {
    match command {
        LogCommand::Head { log, out } => {
            log::print_head(context, &log.into(), out.as_deref()).await
        }
        LogCommand::Prove {
            id,
            log,
            sealed,
            out,
        } => log::prove(context, &id, &log.into(), sealed, out.as_deref()).await,
        LogCommand::Consistency { from, to, log } => {
            log::consistency(context, &from, &to, &log.into()).await
        }
        LogCommand::Verify {
            proof,
            vkey,
            checkpoint,
        } => log::verify(context, &proof, vkey.as_deref(), checkpoint.as_deref()),
        LogCommand::Count { log } => log::count(context, &log.into()).await,
    }
}

async fn run_devnet(
    context: &CommandContext,
    command: DevnetCommand,
) -> Result<ExitStatus, Failure> {
    match command {
        DevnetCommand::Start {
            foreground, data, ..
        } => devnet::start(context, devnet::StartRequest { foreground, data }).await,
        DevnetCommand::Stop(_) => devnet::stop(context).await,
        DevnetCommand::Status(_) => devnet::status(context).await,
        DevnetCommand::Reset(_) => devnet::reset(context).await,
    }
}

async fn run_wallet(
    context: &CommandContext,
    command: WalletCommand,
) -> Result<ExitStatus, Failure> {
    match command {
        WalletCommand::New {
            name,
            light_kdf,
            password,
        } => wallet::new(context, &name, password.password_file.as_deref(), light_kdf),
        WalletCommand::Import {
            name,
            from,
            path,
            ledger,
            password,
        } => {
            let request = wallet::ImportRequest {
                name,
                from,
                path,
                ledger,
                password_file: password.password_file,
            };
            wallet::import(context, &request)
        }
        WalletCommand::List => wallet::list(context),
        WalletCommand::Address { name } => wallet::address(context, name.as_deref()),
        WalletCommand::Balance { account } => wallet::balance(context, account.as_deref()).await,
        WalletCommand::Export {
            name,
            out,
            password,
        } => {
            let file = password.password_file.as_deref();
            wallet::export(context, name.as_deref(), out.as_deref(), file)
        }
        WalletCommand::ModelKey {
            name,
            out,
            password,
        } => {
            let file = password.password_file.as_deref();
            model_key::print_model_key(context, name.as_deref(), out.as_deref(), file)
        }
        WalletCommand::Unlock {
            name,
            time,
            password,
        } => {
            let file = password.password_file.as_deref();
            wallet::keep_unlocked(context, name.as_deref(), &time, file)
        }
        WalletCommand::Lock { name } => wallet::lock(context, name.as_deref()),
        WalletCommand::ChangePassword {
            name,
            password,
            new_password_file,
        } => {
            let old = password.password_file;
            wallet::change_password(context, name.as_deref(), old, new_password_file)
        }
    }
}

fn run_data(context: &CommandContext, command: DataCommand) -> Result<ExitStatus, Failure> {
    match command {
        DataCommand::Check(files) => data::check(context, &files.files),
        DataCommand::Preview { files, row, rows } => {
            let files = files.files;
            data::preview(context, &data::PreviewRequest { files, row, rows })
        }
        DataCommand::Split {
            files,
            out,
            valid,
            test,
            force,
        } => {
            let files = files.files;
            let request = data::SplitRequest {
                files,
                out,
                valid,
                test,
                force,
            };
            data::split(context, &request)
        }
    }
}

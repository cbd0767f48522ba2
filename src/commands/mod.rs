//! One file per verb: settled settings in, exit status out. Wiring only; what a verb does lives
//! in the runtime.

pub mod ask;
pub mod attribution;
pub mod audit;
pub mod base;
pub mod call;
pub mod channel;
pub mod claim;
pub mod completions;
pub mod config;
pub mod dash;
pub mod data;
pub mod demo;
pub mod deploy;
mod desk;
pub mod devnet;
pub mod doctor;
pub mod earnings;
pub mod eval;
pub mod explore;
pub mod figures;
mod guard;
pub mod init;
mod journal;
mod money;
mod network;
pub mod package;
mod payer;
mod project;
mod published;
pub mod receipts;
mod requests;
pub mod rewards;
mod running_server;
pub mod schemas;
pub mod serve;
mod server_access;
pub mod settle;
mod signer;
pub mod train;
mod train_inputs;
mod treasury;
pub mod verify;
pub mod wallet;
pub mod withdraw;

use crate::{
    cli::{
        AttributionCommand, BaseCommand, ChannelCommand, Command, ConfigCommand, DataCommand,
        DevnetCommand, ReceiptsCommand, WalletCommand,
    },
    error::{ExitStatus, Failure},
    printer::Printer,
    settings::{Dirs, Settings},
};

/// What every command gets besides its own request.
#[derive(Clone, Debug)]
pub struct Context {
    pub printer: Printer,
    pub settings: Settings,
    pub dirs: Dirs,
    /// No network access besides loopback.
    pub offline: bool,
    /// Never ask; a question becomes an error.
    pub no_input: bool,
    /// Every question is answered with yes.
    pub yes: bool,
}

/// Runs the verb.
pub async fn dispatch(context: &Context, command: Command) -> Result<ExitStatus, Failure> {
    guard::raise(context);
    match command {
        Command::Demo(args) => demo::run(context, args.into()).await,
        Command::Dash(args) => dash::run(context, args.into()).await,
        Command::Doctor => doctor::run(context),
        Command::Config(ConfigCommand::Show { origin }) => config::show(context, origin),
        Command::Config(ConfigCommand::Path) => config::path(context),
        Command::Config(ConfigCommand::Set { key, value, user }) => {
            config::set(context, &key, &value, user)
        }
        Command::Completions { shell } => completions::completions(context, shell),
        Command::Man => completions::man(context),
        Command::Train(args) => train::run(context, (*args).into()).await,
        Command::Eval(args) => eval::run(context, args.into()).await,
        Command::Attribution(command) => run_attribution(context, command).await,
        Command::Base(BaseCommand::Build(args)) => base::build(context, args.into()).await,
        Command::Package(args) => package::run(context, args.into()).await,
        Command::Verify(args) => verify::run(context, args.into()).await,
        Command::Deploy(args) => deploy::run(context, args.into()).await,
        Command::Earnings(args) => earnings::run(context, args.into()).await,
        Command::Explore(args) => explore::run(context, args.into()).await,
        Command::Wallet(command) => run_wallet(context, command).await,
        Command::Init(args) => init::run(context, &args.into()),
        Command::Data(command) => run_data(context, command),
        Command::Devnet(command) => run_devnet(context, command).await,
        Command::Serve(args) => serve::run(context, args.into()).await,
        Command::Settle(args) => settle::run(context, args.into()).await,
        Command::Withdraw(args) => withdraw::run(context, args.treasury.into(), args.to).await,
        Command::Audit(args) => audit::run(context, args.into()).await,
        Command::Claim(args) => claim::run(context, args.into()).await,
        Command::Call(args) => call::run(context, (*args).into()).await,
        Command::Channel(command) => run_channel(context, command).await,
        Command::Receipts(ReceiptsCommand::Show { id, why, url }) => {
            receipts::show(context, &id, why, url.as_deref()).await
        }
        Command::Receipts(ReceiptsCommand::Pending) => receipts::pending(context),
        Command::Receipts(ReceiptsCommand::Verify { receipt }) => {
            receipts::verify(context, &receipt).await
        }
    }
}

async fn run_attribution(
    context: &Context,
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
            let request = attribution::AuditRequest {
                run,
                contributors: contributor,
                answers,
            };
            attribution::audit(context, request).await
        }
    }
}

async fn run_channel(context: &Context, command: ChannelCommand) -> Result<ExitStatus, Failure> {
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

async fn run_devnet(context: &Context, command: DevnetCommand) -> Result<ExitStatus, Failure> {
    match command {
        DevnetCommand::Start {
            foreground, data, ..
        } => devnet::start(context, devnet::StartRequest { foreground, data }).await,
        DevnetCommand::Stop(_) => devnet::stop(context).await,
        DevnetCommand::Status(_) => devnet::status(context).await,
        DevnetCommand::Reset(_) => devnet::reset(context).await,
    }
}

async fn run_wallet(context: &Context, command: WalletCommand) -> Result<ExitStatus, Failure> {
    match command {
        WalletCommand::New {
            name,
            light_kdf,
            password,
        } => wallet::new(
            context,
            &name,
            (password.password_file.as_deref(), light_kdf),
        ),
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
        WalletCommand::ChangePassword {
            name,
            password,
            new_password_file,
        } => {
            let files = (password.password_file, new_password_file);
            wallet::change_password(context, name.as_deref(), files)
        }
    }
}

fn run_data(context: &Context, command: DataCommand) -> Result<ExitStatus, Failure> {
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

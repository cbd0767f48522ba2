//! One file per verb: settled settings in, exit status out. Wiring only; what a verb does lives
//! in the runtime.

pub mod ask;
pub mod base;
pub mod call;
pub mod channel;
pub mod completions;
pub mod config;
pub mod data;
pub mod demo;
pub mod deploy;
pub mod devnet;
pub mod doctor;
pub mod eval;
pub mod explore;
pub mod figures;
pub mod init;
mod network;
pub mod package;
mod payer;
mod project;
pub mod receipts;
pub mod schemas;
pub mod serve;
pub mod train;
pub mod verify;
pub mod wallet;

use crate::{
    cli::{
        BaseCommand, CallArgs, CallKindArg, ChannelCommand, Command, ConfigCommand, DataCommand,
        DevnetCommand, OneChannelArgs, PayerArgs, ReceiptsCommand, SchemeArg, WalletCommand,
    },
    error::{ExitStatus, Failure},
    printer::Printer,
    runtime::ledger::Scheme,
    settings::{Dirs, Settings},
    wallet::purse::Wish,
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
    match command {
        Command::Demo(args) => demo::run(context, demo::DemoRequest { home: args.home }).await,
        Command::Doctor => doctor::run(context),
        Command::Config(ConfigCommand::Show { origin }) => config::show(context, origin),
        Command::Config(ConfigCommand::Path) => config::path(context),
        Command::Config(ConfigCommand::Set { key, value, user }) => {
            config::set(context, &key, &value, user)
        }
        Command::Completions { shell } => completions::completions(context, shell),
        Command::Man => completions::man(context),
        Command::Train(args) => {
            let request = train::TrainRequest {
                data: args.data,
                out: args.out,
                resume: args.resume,
                dry_run: args.dry_run,
            };
            train::run(context, request).await
        }
        Command::Eval(args) => {
            let request = eval::EvalRequest {
                adapter: args.adapter,
                vs_base: args.vs.is_some(),
                data: args.data,
            };
            eval::run(context, request).await
        }
        Command::Base(BaseCommand::Build(args)) => {
            let request = base::BaseBuildRequest {
                corpus: args.corpus,
                out: args.out,
                overrides: args.overrides,
            };
            base::build(context, request).await
        }
        Command::Package(args) => {
            let request = package::PackageRequest {
                run: args.run,
                out: args.out,
                unsigned: args.unsigned,
                password_file: args.password.password_file,
            };
            package::run(context, request).await
        }
        Command::Verify(args) => {
            let request = verify::VerifyRequest {
                package: args.package,
                base: args.base,
            };
            verify::run(context, request).await
        }
        Command::Deploy(args) => {
            let request = deploy::DeployRequest {
                package: args.package,
                dry_run: args.dry_run,
                server: args.server,
                adapter: args.adapter,
                contracts: args.contracts,
                password_file: args.password.password_file,
            };
            deploy::run(context, request).await
        }
        Command::Explore(args) => {
            let request = explore::ExploreRequest {
                adapter: args.adapter,
                verify: args.verify,
                from_block: args.from_block,
            };
            explore::run(context, request).await
        }
        Command::Wallet(command) => run_wallet(context, command).await,
        Command::Init(args) => {
            let request = init::InitRequest {
                dir: args.dir,
                template: args.template,
                list: args.list,
            };
            init::run(context, &request)
        }
        Command::Data(command) => run_data(context, command),
        Command::Devnet(command) => run_devnet(context, command).await,
        Command::Serve(args) => {
            let request = serve::ServeRequest {
                local: args.local,
                free: args.free,
                expose: args.expose,
                adapters: args.adapter,
            };
            serve::run(context, request).await
        }
        Command::Call(args) => call::run(context, call_request(*args)).await,
        Command::Channel(command) => run_channel(context, command).await,
        Command::Receipts(ReceiptsCommand::Show { id }) => receipts::show(context, &id),
        Command::Receipts(ReceiptsCommand::Verify { receipt }) => {
            receipts::verify(context, &receipt).await
        }
    }
}

async fn run_channel(context: &Context, command: ChannelCommand) -> Result<ExitStatus, Failure> {
    match command {
        ChannelCommand::Open {
            url,
            adapter,
            amount,
            payer,
        } => {
            let request = channel::OpenRequest {
                url,
                adapter,
                amount,
                payer: payer_request(payer),
            };
            channel::open(context, &request).await
        }
        ChannelCommand::List => channel::list(context).await,
        ChannelCommand::Topup { channel, amount } => {
            channel::topup(context, &channel_request(channel), &amount).await
        }
        ChannelCommand::Refund(channel) => {
            channel::refund(context, &channel_request(channel)).await
        }
        ChannelCommand::Withdraw(channel) => {
            channel::withdraw(context, &channel_request(channel)).await
        }
    }
}

fn channel_request(args: OneChannelArgs) -> channel::ChannelRequest {
    channel::ChannelRequest {
        channel: args.channel,
        payer: payer_request(args.payer),
    }
}

fn payer_request(args: PayerArgs) -> payer::PayerRequest {
    payer::PayerRequest {
        from: args.from,
        password_file: args.password.password_file,
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

fn call_request(args: CallArgs) -> call::CallRequest {
    call::CallRequest {
        prompt: args.prompt,
        url: args.url,
        adapter: args.adapter,
        kind: args.kind.map(|kind| match kind {
            CallKindArg::Chat => call::Kind::Chat,
            CallKindArg::Classify => call::Kind::Classify,
        }),
        max_price: args.max_price,
        max_tokens: args.max_tokens,
        temperature: args.temperature,
        system: args.system,
        stream: args.stream,
        scheme: match args.scheme {
            SchemeArg::Auto => Wish::Auto,
            SchemeArg::Exact => Wish::Only(Scheme::Exact),
            SchemeArg::BatchSettlement => Wish::Only(Scheme::BatchSettlement),
        },
        payer: payer_request(args.payer),
    }
}

async fn run_wallet(context: &Context, command: WalletCommand) -> Result<ExitStatus, Failure> {
    match command {
        WalletCommand::New { name, password } => {
            wallet::new(context, &name, password.password_file.as_deref())
        }
        WalletCommand::Import {
            name,
            from,
            path,
            password,
        } => {
            let request = wallet::ImportRequest {
                name,
                from,
                path,
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

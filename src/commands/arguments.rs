//! Conversion of command-line arguments to the requests of the commands, field by field.

use super::{
    audit::AuditRequest,
    bench::BenchRequest,
    call::{self, CallRequest, pictures::PictureOptions},
    channel::{ChannelRequest, OpenRequest},
    chat::ConversationRequest,
    claim::{ClaimRequest, PoolAction},
    dash::{DashRequest, RecordSource},
    demo::DemoRequest,
    deploy::DeployRequest,
    earnings::{self, EarningsRequest},
    eval::EvalRequest,
    explore::ExploreRequest,
    export::{AdapterFormat, ExportRequest},
    init::InitRequest,
    log::LogSourceRequest,
    package::PackageRequest,
    payer::PayerRequest,
    proxy::ProxyRequest,
    pull::PullCommandRequest,
    push::PushCommandRequest,
    receipts::ReplayRequest,
    run::ContainerRequest,
    search::SearchRequest,
    serve::ServeRequest,
    train::TrainRequest,
    treasury::TreasuryRequest,
    verify::{SignerFiles, VerifyRequest},
};
use crate::commands::cli::{
    AdapterFormatArg, AuditArgs, BenchServeArgs, CallArgs, CallKindArg, ChatArgs, ClaimArgs,
    ContainerArgs, DashArgs, DemoArgs, DeployArgs, EarningsArgs, EarningsByArg, EvalArgs,
    ExploreArgs, ExportArgs, InitArgs, LogSourceArgs, NewChannelArgs, OneChannelArgs, PackageArgs,
    PayerArgs, ProxyArgs, PullArgs, PushArgs, ReplayArgs, SchemeArg, SearchArgs, ServeArgs,
    SignerArgs, TrainArgs, TreasuryArgs, VerifyArgs,
};
use openlora_ledger::PaymentScheme;
use openlora_payments::payer::SchemeChoice;

impl From<DemoArgs> for DemoRequest {
    fn from(args: DemoArgs) -> Self {
        Self {
            home: args.home,
            dash: args.dash,
        }
    }
}

impl From<DashArgs> for DashRequest {
    fn from(args: DashArgs) -> Self {
        let origin = match (args.attach, args.replay) {
            (Some(url), _) => RecordSource::Attach(url),
            (None, Some(file)) => RecordSource::Replay(file, args.speed),
            (None, None) if args.demo => RecordSource::Demo,
            (None, None) => RecordSource::Home,
        };
        Self {
            origin,
            record: args.record,
            token_file: args.token_file,
        }
    }
}

impl From<TrainArgs> for TrainRequest {
    fn from(args: TrainArgs) -> Self {
        Self {
            data: args.data,
            out: args.out,
            resume: args.resume,
            plan: args.plan,
        }
    }
}

impl From<EvalArgs> for EvalRequest {
    fn from(args: EvalArgs) -> Self {
        Self {
            adapter: args.adapter,
            vs_base: args.vs.is_some(),
            data: args.data,
        }
    }
}

impl From<PackageArgs> for PackageRequest {
    fn from(args: PackageArgs) -> Self {
        Self {
            run: args.run,
            adapter: args.adapter,
            out: args.out,
            unsigned: args.unsigned,
            signing_key: args.signing_key,
            certificates: args.certificates,
            image: args.image.map(Option::unwrap_or_default),
            binary: args.binary,
            password_file: args.password.password_file,
        }
    }
}

impl From<VerifyArgs> for VerifyRequest {
    fn from(args: VerifyArgs) -> Self {
        Self {
            package: args.package,
            base: args.base,
            signers: SignerFiles {
                keys: args.key,
                roots: args.root,
                policy: args.policy,
            },
            log: args.log,
            chain: args.chain,
        }
    }
}

impl From<ExportArgs> for ExportRequest {
    fn from(args: ExportArgs) -> Self {
        Self {
            adapter: args.adapter,
            format: match args.format {
                AdapterFormatArg::Peft => AdapterFormat::Peft,
                AdapterFormatArg::Merged => AdapterFormat::Merged,
                AdapterFormatArg::Gguf => AdapterFormat::Gguf,
                AdapterFormatArg::Diffusers => AdapterFormat::Diffusers,
            },
            out: args.out,
        }
    }
}

impl From<LogSourceArgs> for LogSourceRequest {
    fn from(args: LogSourceArgs) -> Self {
        Self {
            place: args.log,
            vkey: args.vkey,
        }
    }
}

impl From<SignerArgs> for SignerFiles {
    fn from(args: SignerArgs) -> Self {
        Self {
            keys: args.key,
            roots: args.root,
            policy: args.policy,
        }
    }
}

impl From<PushArgs> for PushCommandRequest {
    fn from(args: PushArgs) -> Self {
        Self {
            package: args.package,
            location: args.location,
            signers: args.signers.into(),
        }
    }
}

impl From<PullArgs> for PullCommandRequest {
    fn from(args: PullArgs) -> Self {
        Self {
            what: args.what,
            out: args.out,
            update: args.update,
            signers: args.signers.into(),
        }
    }
}

impl From<DeployArgs> for DeployRequest {
    fn from(args: DeployArgs) -> Self {
        Self {
            package: args.package,
            dry_run: args.dry_run,
            server: args.server,
            adapter: args.adapter,
            uri: args.uri,
            contracts: args.contracts,
            agent: args.agent,
            password_file: args.password.password_file,
        }
    }
}

impl From<EarningsArgs> for EarningsRequest {
    fn from(args: EarningsArgs) -> Self {
        Self {
            by: args.by.map(|by| match by {
                EarningsByArg::Day => earnings::EarningsGrouping::Day,
                EarningsByArg::Adapter => earnings::EarningsGrouping::Adapter,
                EarningsByArg::Payer => earnings::EarningsGrouping::Payer,
                EarningsByArg::Contributor => earnings::EarningsGrouping::Contributor,
            }),
            csv: args.csv,
            audit: args.audit,
        }
    }
}

impl From<ExploreArgs> for ExploreRequest {
    fn from(args: ExploreArgs) -> Self {
        Self {
            adapter: args.adapter,
            verify: args.verify,
            from_block: args.from_block,
        }
    }
}

impl From<InitArgs> for InitRequest {
    fn from(args: InitArgs) -> Self {
        Self {
            dir: args.dir,
            template: args.template,
            base: args.base,
            list: args.list,
        }
    }
}

impl From<TreasuryArgs> for TreasuryRequest {
    fn from(args: TreasuryArgs) -> Self {
        Self {
            dry_run: args.dry_run,
            password_file: args.password.password_file,
        }
    }
}

impl From<AuditArgs> for AuditRequest {
    fn from(args: AuditArgs) -> Self {
        Self {
            adapter: args.adapter,
            log: args.log,
            package: args.package,
            index: args.index,
        }
    }
}

impl From<ClaimArgs> for ClaimRequest {
    fn from(args: ClaimArgs) -> Self {
        Self {
            log: args.log,
            pool: args.pool,
            contributors: args.contributor,
            action: match (args.contest, args.demand, args.divide) {
                (true, ..) => PoolAction::Contest,
                (_, true, _) => PoolAction::Demand,
                (_, _, true) => PoolAction::Divide,
                _ => PoolAction::Fetch,
            },
            treasury: args.treasury.into(),
        }
    }
}

impl From<ServeArgs> for ServeRequest {
    fn from(args: ServeArgs) -> Self {
        Self {
            local: args.local,
            free: args.free,
            expose: args.expose,
            rotate_tokens: args.rotate_operator_token,
            adapters: args.adapter,
            folder: args.adapters,
            socket: args.socket,
            password_file: args.password.password_file,
        }
    }
}

impl From<ContainerArgs> for ContainerRequest {
    fn from(args: ContainerArgs) -> Self {
        Self {
            target: args.target,
            base: args.base,
            memory: args.memory,
            cpus: args.cpus,
            pids: args.pids,
            socket: args.socket,
            runtime: args.runtime,
            waived: args.waive,
        }
    }
}

impl From<BenchServeArgs> for BenchRequest {
    fn from(args: BenchServeArgs) -> Self {
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            adapters: args.adapter,
            folder: args.adapters,
            streams: usize::from(args.streams),
            prompt_tokens: size(args.prompt_tokens),
            answer_tokens: size(args.answer_tokens),
        }
    }
}

impl From<ChatArgs> for ConversationRequest {
    fn from(args: ChatArgs) -> Self {
        Self {
            adapter: args.adapter,
            system: args.system,
            temperature: args.temperature,
            max_tokens: args.max_tokens,
        }
    }
}

impl From<CallArgs> for CallRequest {
    fn from(args: CallArgs) -> Self {
        Self {
            prompt: args.prompt.unwrap_or_default(),
            again: args.again,
            url: args.url,
            adapter: args.adapter,
            kind: args.kind.map(|kind| match kind {
                CallKindArg::Chat => call::CallTask::Chat,
                CallKindArg::Classify => call::CallTask::Classify,
                CallKindArg::Image => call::CallTask::Image,
            }),
            max_price: args.max_price,
            max_deposit: args.max_deposit,
            max_tokens: args.max_tokens,
            temperature: args.temperature,
            system: args.system,
            pictures: PictureOptions {
                out: args.out,
                pictures: args.pictures,
                size: args.size,
                steps: args.steps,
                guidance: args.guidance,
                seed: args.seed,
            },
            stream: args.stream,
            static_shares: args.static_shares,
            scheme: match args.scheme {
                SchemeArg::Auto => SchemeChoice::Auto,
                SchemeArg::Exact => SchemeChoice::Only(PaymentScheme::Exact),
                SchemeArg::BatchSettlement => SchemeChoice::Only(PaymentScheme::BatchSettlement),
            },
            payer: args.payer.into(),
            payee: None,
        }
    }
}

impl From<SearchArgs> for SearchRequest {
    fn from(args: SearchArgs) -> Self {
        Self {
            text: args.text.join(" "),
            limit: args.limit.into(),
            discovery: args.discovery,
        }
    }
}

impl From<ProxyArgs> for ProxyRequest {
    fn from(args: ProxyArgs) -> Self {
        Self {
            expose: args.expose,
            new_key: args.new_key,
            payer: args.payer.into(),
        }
    }
}

impl From<ReplayArgs> for ReplayRequest {
    fn from(args: ReplayArgs) -> Self {
        Self {
            receipt: args.receipt,
            answer: args.answer,
            prompt: args.prompt,
            system: args.system,
            body: args.body,
            adapter: args.adapter,
            url: args.url,
        }
    }
}

impl From<PayerArgs> for PayerRequest {
    fn from(args: PayerArgs) -> Self {
        Self {
            from: args.from,
            password_file: args.password.password_file,
        }
    }
}

impl From<NewChannelArgs> for OpenRequest {
    fn from(args: NewChannelArgs) -> Self {
        Self {
            url: args.url,
            adapter: args.adapter,
            amount: args.amount,
            payer: args.payer.into(),
        }
    }
}

impl From<OneChannelArgs> for ChannelRequest {
    fn from(args: OneChannelArgs) -> Self {
        Self {
            channel: args.channel,
            payer: args.payer.into(),
        }
    }
}

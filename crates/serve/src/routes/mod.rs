//! The table of routes, and the checks common to all of them.
//!
//! Documentation and tests read [`ROUTES`]; the router is built from it and from nothing else.

mod adapters;
mod attributions;
mod classify;
mod completions;
mod discovery;
mod edge;
mod events;
mod facts;
mod images;
mod models;
mod moderations;
mod operator;
mod page;
mod receipts;
mod refund;
mod registration;
mod settlement;
mod tools;
mod transparency;

pub use operator::CHALLENGE;

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{self, Next},
    routing::{MethodRouter, get, post},
};

use super::{api_error::ApiError, app::AppState, audience::RouteAudience, listing::TOOLS_PATH};

/// One route.
#[derive(Clone, Copy)]
pub struct ApiRoute {
    pub method: &'static str,
    pub path: &'static str,
    pub about: &'static str,
    /// Whether a call is counted in the journal.
    pub metered: bool,
    pub audience: RouteAudience,
    mount: fn() -> MethodRouter<AppState>,
}

const fn metered(
    path: &'static str,
    about: &'static str,
    mount: fn() -> MethodRouter<AppState>,
) -> ApiRoute {
    ApiRoute {
        method: "POST",
        path,
        about,
        metered: true,
        audience: RouteAudience::Anyone,
        mount,
    }
}

const fn open(
    path: &'static str,
    about: &'static str,
    mount: fn() -> MethodRouter<AppState>,
) -> ApiRoute {
    ApiRoute {
        method: "GET",
        path,
        about,
        metered: false,
        audience: RouteAudience::Anyone,
        mount,
    }
}

const fn operator(
    path: &'static str,
    about: &'static str,
    mount: fn() -> MethodRouter<AppState>,
) -> ApiRoute {
    ApiRoute {
        method: "GET",
        path,
        about,
        metered: false,
        audience: RouteAudience::Operator,
        mount,
    }
}

const fn command(
    path: &'static str,
    about: &'static str,
    mount: fn() -> MethodRouter<AppState>,
) -> ApiRoute {
    ApiRoute {
        method: "POST",
        ..operator(path, about, mount)
    }
}

const fn clearing(
    path: &'static str,
    about: &'static str,
    mount: fn() -> MethodRouter<AppState>,
) -> ApiRoute {
    ApiRoute {
        audience: RouteAudience::Sellers,
        ..command(path, about, mount)
    }
}

/// Every route of the server.
pub const ROUTES: &[ApiRoute] = &[
    metered("/v1/chat/completions", "chat, whole or streamed", || {
        post(completions::chat).get(refund::terms)
    }),
    metered(
        "/v1/completions",
        "continue a text, whole or streamed",
        || post(completions::text).get(refund::terms),
    ),
    metered("/v1/classify", "probability of every label", || {
        post(classify::classify).get(refund::terms)
    }),
    metered("/v1/moderations", "content filter in OpenAI's form", || {
        post(moderations::moderate).get(refund::terms)
    }),
    metered(
        "/v1/images/generations",
        "pictures from a prompt, in OpenAI's form",
        || post(images::generate).get(refund::terms),
    ),
    ApiRoute {
        method: "POST",
        ..open(
            TOOLS_PATH,
            "the adapters as tools of agents (MCP), paid by x402",
            || post(tools::answer),
        )
    },
    open("/v1/models", "the adapters served", || get(models::list)),
    open("/v1/models/{*id}", "one adapter", || get(models::get_model)),
    open(
        "/v1/receipts/{id}",
        "what was counted under a request id",
        || get(receipts::get_receipt),
    ),
    open(
        "/v1/attributions/{id}",
        "whose data shaped an answer, and why",
        || get(attributions::get_attribution),
    ),
    open(
        "/attribution-log/{id}",
        "the published log of attributed calls",
        || get(attributions::file),
    ),
    open(
        "/log/checkpoint",
        "the transparency log's size and root, signed",
        || get(transparency::checkpoint),
    ),
    open(
        "/log/tile/{*id}",
        "tiles and entries of the transparency log",
        || get(transparency::tile),
    ),
    open(
        "/log/release/{manifest}",
        "the place of a release in the transparency log",
        || get(transparency::release),
    ),
    open("/", "what is served here, as a page for people", || {
        get(page::home)
    }),
    open(
        "/adapters/{*id}",
        "one adapter, as a page for people or as JSON",
        || get(page::adapter),
    ),
    open(
        "/.well-known/agent-registration.json",
        "the registration file of an adapter (ERC-8004)",
        || get(registration::file),
    ),
    open("/icon.svg", "the icon of pages and listings", || {
        get(page::icon)
    }),
    operator("/events", "the journal as server-sent events", || {
        get(events::follow)
    }),
    open(
        "/discovery/resources",
        "paid resources that this server knows (x402)",
        || get(discovery::list),
    ),
    open(
        "/discovery/search",
        "the same, searched by text (x402)",
        || get(discovery::search),
    ),
    ApiRoute {
        audience: RouteAudience::Sellers,
        ..open(
            "/supported",
            "what this server clears for other sellers (x402)",
            || get(settlement::supported),
        )
    },
    clearing("/verify", "check another seller's payment (x402)", || {
        post(settlement::verify)
    }),
    clearing(
        "/settle",
        "put another seller's payment on its chain (x402)",
        || post(settlement::post_settle),
    ),
    command(
        "/operator/settle",
        "claim and settle what calls have cost",
        || post(settlement::settle_now),
    ),
    command("/operator/withdraw", "pay out of the splitters", || {
        post(settlement::withdraw)
    }),
    command(
        "/operator/facts",
        "record a transaction of another command of this home",
        || post(facts::record),
    ),
    command(
        "/v1/load_lora_adapter",
        "serve a further adapter, or another one under a name",
        || post(adapters::load),
    ),
    command(
        "/v1/unload_lora_adapter",
        "serve an adapter no longer",
        || post(adapters::unload),
    ),
    open("/health", "the process is alive", || get(operator::health)),
    open(
        "/ready",
        "the models are loaded and calls can be counted",
        || get(operator::ready),
    ),
    operator("/metrics", "OpenMetrics", || get(operator::metrics)),
];

/// The router over [`ROUTES`], behind the edge.
pub fn router(app: AppState) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, guarded(&app, route));
    }
    let state = app.clone();
    let unknown = move |request: Request| edge::unknown(state, request);
    router.fallback(unknown).with_state(app)
}

fn guarded(app: &AppState, route: &'static ApiRoute) -> MethodRouter<AppState> {
    let state = app.clone();
    let permit =
        move |request: Request, next: Next| edge::pass(state.clone(), route, request, next);
    let refuse = move |request: Request| async move { wrong_method(route, &request) };
    (route.mount)()
        .fallback(refuse)
        .layer(middleware::from_fn(permit))
}

/// 405; the router adds the `Allow` header.
fn wrong_method(route: &ApiRoute, request: &Request) -> ApiError {
    let message = format!(
        "{} {} is not possible: this path answers {}.",
        request.method(),
        request.uri().path(),
        route.method
    );
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
}

//! The content of `/metrics`, in the OpenMetrics text format.
//!
//! Token and call counts are fed with the very event that the journal took, so that they are the
//! same numbers. Adapter gauges have the shape that vLLM gives them, for schedulers that read it.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use super::{
    adapter_registry::AdapterRegistry,
    attribution::AttributionService,
    gate::{AdapterLoad, QueueGate},
};
use openlora_ledger::event::{CallKind, Event, FinishReason, TokenUsage};
use openlora_ports::Sponsorship;

type MetricLabels = Vec<(&'static str, String)>;
type HistogramFamily = Family<MetricLabels, Histogram, fn() -> Histogram>;

/// All counters of a server; cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerMetrics {
    registry: Arc<Registry>,
    calls: Family<MetricLabels, Counter>,
    prompt_tokens: Family<MetricLabels, Counter>,
    completion_tokens: Family<MetricLabels, Counter>,
    pictures: Family<MetricLabels, Counter>,
    evaluations: Family<MetricLabels, Counter>,
    seconds: HistogramFamily,
    first_token_seconds: HistogramFamily,
    responses: Family<MetricLabels, Counter>,
    repeats: Counter,
    connections: Gauge,
    unread: Gauge,
    held: Gauge,
    sponsored_gas: Family<MetricLabels, Gauge<f64, AtomicU64>>,
    gas_alarms: Family<MetricLabels, Gauge>,
}

fn latency_buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 18))
}

impl ServerMetrics {
    pub fn new(
        gate: Arc<QueueGate>,
        adapters: AdapterRegistry,
        attributions: AttributionService,
    ) -> Self {
        let mut registry = Registry::default();
        let histograms =
            || HistogramFamily::new_with_constructor(latency_buckets as fn() -> Histogram);
        let metrics = Self {
            registry: Arc::new(Registry::default()),
            calls: Family::default(),
            prompt_tokens: Family::default(),
            completion_tokens: Family::default(),
            pictures: Family::default(),
            evaluations: Family::default(),
            seconds: histograms(),
            first_token_seconds: histograms(),
            responses: Family::default(),
            repeats: Counter::default(),
            connections: Gauge::default(),
            unread: Gauge::default(),
            held: Gauge::default(),
            sponsored_gas: Family::default(),
            gas_alarms: Family::default(),
        };
        metrics.register(&mut registry);
        registry.register_collector(Box::new(AdapterGauges { gate, adapters }));
        registry.register_collector(Box::new(AttributionGauges(attributions)));
        Self {
            registry: Arc::new(registry),
            ..metrics
        }
    }

    fn register(&self, registry: &mut Registry) {
        let own = registry.sub_registry_with_prefix("openlora");
        own.register("calls", "Metered calls", self.calls.clone());
        own.register(
            "prompt_tokens",
            "Metered prompt tokens",
            self.prompt_tokens.clone(),
        );
        own.register(
            "completion_tokens",
            "Metered completion tokens",
            self.completion_tokens.clone(),
        );
        own.register("pictures", "Metered pictures", self.pictures.clone());
        own.register(
            "picture_evaluations",
            "Evaluations of models for metered pictures",
            self.evaluations.clone(),
        );
        own.register_with_unit(
            "call",
            "From acceptance to the last token",
            Unit::Seconds,
            self.seconds.clone(),
        );
        own.register_with_unit(
            "first_token",
            "From acceptance to the first token",
            Unit::Seconds,
            self.first_token_seconds.clone(),
        );
        own.register(
            "http_responses",
            "Answers by route and status",
            self.responses.clone(),
        );
        own.register(
            "repeats",
            "Answers given again to a repeated id",
            self.repeats.clone(),
        );
        own.register("connections", "Open connections", self.connections.clone());
        own.register_with_unit(
            "unread_answers",
            "Answers that were generated and are not read yet",
            Unit::Bytes,
            self.unread.clone(),
        );
        own.register_with_unit(
            "held_answers",
            "Memory of answers that are held for repeats",
            Unit::Bytes,
            self.held.clone(),
        );
        self.register_gas(own);
    }

    fn register_gas(&self, own: &mut Registry) {
        own.register(
            "sponsored_gas_wei",
            "Wei for gas at payers' request today (UTC): spent, in flight, and allowed",
            self.sponsored_gas.clone(),
        );
        own.register(
            "gas_alarm",
            "1 where deposits and refunds are not sent: the account is low, or the budget is spent",
            self.gas_alarms.clone(),
        );
    }

    /// Sets the gas that was paid for sponsored transactions.
    pub fn observe_gas(&self, sponsorships: &[Sponsorship]) {
        for Sponsorship {
            chain_id,
            gas,
            budget,
            is_low,
        } in sponsorships
        {
            let labels = |name, value: &str| {
                let chain = ("chain", chain_id.to_string());
                vec![chain, (name, value.to_owned())]
            };
            let parts = [
                ("spent", Some(gas.spent)),
                ("in_flight", Some(gas.in_flight)),
                ("budget", *budget),
            ];
            for (part, wei) in parts {
                if let Some(wei) = wei {
                    let gauge = self.sponsored_gas.get_or_create(&labels("part", part));
                    gauge.set(wei.0 as f64);
                }
            }
            for (cause, is_on) in [("low", *is_low), ("budget_spent", gas.is_exhausted)] {
                let gauge = self.gas_alarms.get_or_create(&labels("cause", cause));
                gauge.set(i64::from(is_on));
            }
        }
    }

    /// Counts a call from the event that metered it; other events change nothing.
    pub fn metered(&self, event: &Event) {
        let Event::CallMetered {
            adapter,
            kind,
            usage,
            finish,
            milliseconds,
            first_token_milliseconds,
            computation,
            ..
        } = event
        else {
            return;
        };
        let TokenUsage {
            prompt_tokens,
            completion_tokens,
        } = *usage;
        let own = vec![("adapter", adapter.clone())];
        self.calls
            .get_or_create(&call_labels(adapter, *kind, *finish))
            .inc();
        self.prompt_tokens.get_or_create(&own).inc_by(prompt_tokens);
        self.completion_tokens
            .get_or_create(&own)
            .inc_by(completion_tokens);
        let made = computation.as_ref().and_then(|it| it.pictures.as_deref());
        if let Some(made) = made {
            self.pictures.get_or_create(&own).inc_by(made.pictures);
            self.evaluations
                .get_or_create(&own)
                .inc_by(made.evaluations);
        }
        self.seconds
            .get_or_create(&own)
            .observe(seconds(*milliseconds));
        if let Some(first) = first_token_milliseconds {
            self.first_token_seconds
                .get_or_create(&own)
                .observe(seconds(*first));
        }
    }

    /// Counts an answer of any route.
    pub fn responded(&self, path: &'static str, status: u16) {
        let labels = vec![("path", path.to_owned()), ("status", status.to_string())];
        self.responses.get_or_create(&labels).inc();
    }

    /// Counts a repeated answer.
    pub fn repeated(&self) {
        self.repeats.inc();
    }

    /// Sets the numbers of open connections and of unread bytes.
    pub fn observe(&self, connections: usize, unread_bytes: usize, held_bytes: usize) {
        let shown = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.connections.set(shown(connections));
        self.unread.set(shown(unread_bytes));
        self.held.set(shown(held_bytes));
    }

    /// The whole exposition.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

/// A word of the event vocabulary as the journal writes it.
fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn call_labels(adapter: &str, kind: CallKind, finish: FinishReason) -> MetricLabels {
    vec![
        ("adapter", adapter.to_owned()),
        ("kind", word(kind)),
        ("finish", word(finish)),
    ]
}

/// Sets how far attribution is behind.
struct AttributionGauges(AttributionService);

impl fmt::Debug for AttributionGauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AttributionGauges")
            .field(&self.0.lag())
            .finish()
    }
}

impl Collector for AttributionGauges {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let lag = self.0.lag();
        let none = MetricLabels::new();
        gauge(
            &mut encoder,
            "openlora_attribution_waiting",
            "Counted calls without a final attribution",
            &none,
            lag.waiting as f64,
        )?;
        gauge(
            &mut encoder,
            "openlora_attribution_lag_seconds",
            "Age of the call that waits longest",
            &none,
            seconds(lag.milliseconds),
        )
    }
}

/// Sets the numbers of running and waiting calls.
#[derive(Debug)]
struct AdapterGauges {
    gate: Arc<QueueGate>,
    adapters: AdapterRegistry,
}

impl Collector for AdapterGauges {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let loads = self.gate.loads();
        let names = |count: fn(&AdapterLoad) -> usize| {
            let busy = loads.iter().filter(|(_, load)| count(load) > 0);
            busy.map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
                .join(",")
        };
        let labels: MetricLabels = vec![
            ("max_lora", self.adapters.len().to_string()),
            ("waiting_lora_adapters", names(|load| load.waiting)),
            ("running_lora_adapters", names(|load| load.running)),
        ];
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |now| now.as_secs_f64());
        let help = "Adapters with calls; the value is the time";
        gauge(&mut encoder, "vllm:lora_requests_info", help, &labels, now)?;
        let total =
            |count: fn(&AdapterLoad) -> usize| loads.values().map(count).sum::<usize>() as f64;
        let none = MetricLabels::new();
        let running = total(|load| load.running);
        gauge(
            &mut encoder,
            "vllm:num_requests_running",
            "Calls on an engine",
            &none,
            running,
        )?;
        let waiting = total(|load| load.waiting);
        gauge(
            &mut encoder,
            "vllm:num_requests_waiting",
            "Calls in the queue",
            &none,
            waiting,
        )
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    labels: &MetricLabels,
    value: f64,
) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    let mut metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    // A family without labels would write empty braces.
    match labels.is_empty() {
        true => gauge.encode(metric),
        false => gauge.encode(metric.encode_family(labels)?),
    }
}

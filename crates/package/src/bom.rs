//! `bom.cdx.json`: a CycloneDX 1.5 bill of materials of the adapter, from the manifest only.
//!
//! The adapter is the component that the bill is about, with a model card; its base, the datasets and
//! the package's files are components with their digests. Specification:
//! <https://cyclonedx.org/docs/1.5/json/>.

use std::str::FromStr;

use cyclonedx_bom::{
    external_models::{
        date_time::DateTime,
        normalized_string::NormalizedString,
        spdx::{SpdxExpression, SpdxIdentifier},
        uri::Purl,
    },
    models::{
        bom::{Bom, SpecVersion, UrnUuid},
        component::{Classification, Component, Components},
        dependency::{Dependencies, Dependency},
        hash::{Hash, HashAlgorithm, HashValue, Hashes},
        license::{License, LicenseChoice, Licenses},
        metadata::Metadata,
        modelcard::{
            ModelCard, ModelParameters, PerformanceMetric, PerformanceMetrics, QuantitativeAnalysis,
        },
        property::{Properties, Property},
        tool::Tools,
    },
};
use serde_json::{Value, json};

use super::{
    card::NO_LICENSE,
    error::ManifestProblem,
    manifest::{Digest, Manifest, ManifestBase, ManifestDataset, canonical},
    timestamp::rfc3339,
};
use openlora_core::error::describe_decoding;

/// The bill's reference to the adapter.
const ADAPTER: &str = "adapter";
/// The bill's reference to the base.
const BASE: &str = "base";
/// What adapters of a base for text do, and those of one for pictures.
const TEXT_TASK: &str = "text-generation";
const PICTURE_TASK: &str = "text-to-image";

/// The bill for a manifest without entries for derived documents.
pub(super) fn bill_of_materials(manifest: &Manifest) -> Result<Value, ManifestProblem> {
    let datasets = || manifest.datasets.iter();
    let components = std::iter::once(base(&manifest.base)).chain(datasets().map(dataset));
    let bom = Bom {
        serial_number: Some(serial_number(manifest)?),
        metadata: Some(Metadata {
            timestamp: rfc3339(manifest.created_at.0)
                .and_then(|moment| DateTime::try_from(moment).ok()),
            tools: Some(Tools::Object {
                services: None,
                components: Some(Components(vec![component(
                    Classification::Application,
                    "openlora",
                )])),
            }),
            component: Some(adapter(manifest)),
            properties: Some(Properties(vec![Property::new("openlora:bom", "1")])),
            ..Metadata::default()
        }),
        components: Some(Components(components.collect())),
        dependencies: Some(dependencies(manifest)),
        spec_version: SpecVersion::V1_5,
        ..Bom::default()
    };
    let mut bytes = Vec::new();
    let not_json = |reason: String| ManifestProblem::Json(reason);
    bom.output_as_json_v1_5(&mut bytes)
        .map_err(|error| not_json(error.to_string()))?;
    let mut value: Value =
        serde_json::from_slice(&bytes).map_err(|error| not_json(describe_decoding(&error)))?;
    refer_to_datasets(&mut value, manifest);
    Ok(value)
}

/// A UUID of version 8 (RFC 9562) of the manifest's digest.
fn serial_number(manifest: &Manifest) -> Result<UrnUuid, ManifestProblem> {
    let digest = Digest::hash_bytes(&canonical(manifest)?);
    let mut id = [0; 16];
    id.copy_from_slice(&digest.0[..16]);
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    let digits = hex::encode(id);
    let parts = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ];
    Ok(UrnUuid(format!("urn:uuid:{}", parts.join("-"))))
}

/// The library writes references from a model card to datasets as texts. The format asks for
/// objects.
fn refer_to_datasets(bom: &mut Value, manifest: &Manifest) {
    let parameters = bom.pointer_mut("/metadata/component/modelCard/modelParameters");
    let references = manifest.datasets.iter();
    let references: Vec<Value> = references
        .map(|data| json!({ "ref": dataset_reference(data) }))
        .collect();
    if let Some(parameters) = parameters.and_then(Value::as_object_mut)
        && !references.is_empty()
    {
        parameters.insert("datasets".to_owned(), references.into());
    }
}

fn component(kind: Classification, name: &str) -> Component {
    Component {
        version: None,
        ..Component::new(kind, name, "", None)
    }
}

fn hashes(digest: Digest) -> Option<Hashes> {
    Some(Hashes(vec![Hash {
        alg: HashAlgorithm::SHA_256,
        content: HashValue(digest.to_string()),
    }]))
}

fn file(reference: String, path: &str, digest: Digest) -> Component {
    Component {
        bom_ref: Some(reference),
        hashes: hashes(digest),
        ..component(Classification::File, path)
    }
}

/// A licence as an identifier of SPDX, an expression of them, or a name.
fn licenses(license: Option<&str>) -> Option<Licenses> {
    let license = license.filter(|license| *license != NO_LICENSE)?;
    // The Hub spells identifiers in lowercase.
    let exact = SpdxIdentifier::try_from(license.to_owned()).ok();
    let known = exact.or_else(|| {
        let near = SpdxIdentifier::imprecise(license.to_owned()).ok();
        near.filter(|near| near.to_string().eq_ignore_ascii_case(license))
    });
    let choice = match (known, SpdxExpression::try_from(license.to_owned())) {
        (Some(id), _) => LicenseChoice::License(License::license_id(&id.to_string())),
        (None, Ok(expression)) => LicenseChoice::Expression(expression),
        (None, Err(_)) => LicenseChoice::License(License::named_license(license)),
    };
    Some(Licenses(vec![choice]))
}

fn properties(pairs: Vec<Property>) -> Option<Properties> {
    (!pairs.is_empty()).then_some(Properties(pairs))
}

fn adapter(manifest: &Manifest) -> Component {
    let files = manifest.files.iter();
    let files = files.map(|it| file(format!("file:{}", it.path), &it.path, it.sha256));
    let weights = manifest.files.iter().find(|file| file.role == "weights");
    let publisher = manifest.trainer.evm_address;
    Component {
        bom_ref: Some(ADAPTER.to_owned()),
        version: Some(NormalizedString::new(&manifest.version)),
        author: manifest.trainer.name.as_deref().map(NormalizedString::new),
        publisher: publisher.map(|address| NormalizedString::new(&address.to_string())),
        hashes: weights.and_then(|weights| hashes(weights.sha256)),
        licenses: licenses(Some(&manifest.license)),
        properties: properties(adapter_properties(manifest)),
        components: Some(Components(files.collect())),
        model_card: Some(model_card(manifest)),
        ..component(Classification::MachineLearningModel, &manifest.name)
    }
}

fn adapter_properties(manifest: &Manifest) -> Vec<Property> {
    let adapter = &manifest.adapter;
    let mut all = vec![
        Property::new("openlora:adapter:kind", &adapter.kind),
        Property::new("openlora:adapter:r", &adapter.r.0.to_string()),
        Property::new("openlora:adapter:alpha", &adapter.alpha.to_string()),
        Property::new("openlora:adapter:rslora", &adapter.rslora.to_string()),
        Property::new("openlora:adapter:dtype", &adapter.dtype),
        Property::new(
            "openlora:adapter:parameterCount",
            &adapter.parameter_count.0.to_string(),
        ),
    ];
    let modules = adapter.modules.iter();
    all.extend(modules.map(|module| Property::new("openlora:adapter:module", &module.path)));
    let contributors = manifest.contributors.iter();
    all.extend(contributors.map(|it| Property::new("openlora:contributor", &it.name)));
    all
}

fn model_card(manifest: &Manifest) -> ModelCard {
    let training = &manifest.training;
    let mut pairs = Vec::new();
    if let Some(seed) = training.seed {
        pairs.push(Property::new("openlora:training:seed", &seed.0.to_string()));
    }
    for (key, value) in training.hyperparameters.iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        pairs.push(Property::new(format!("openlora:training:{key}"), &text));
    }
    let task = match manifest.base.makes_pictures() {
        true => PICTURE_TASK,
        false => TEXT_TASK,
    };
    ModelCard {
        bom_ref: None,
        model_parameters: Some(ModelParameters {
            approach: None,
            task: Some(task.to_owned()),
            architecture_family: None,
            model_architecture: manifest.base.architecture.clone(),
            datasets: None,
            inputs: None,
            outputs: None,
        }),
        quantitative_analysis: quantitative_analysis(manifest),
        considerations: None,
        properties: properties(pairs),
    }
}

/// The final loss of the training, and every figure over held-out rows for the adapter and its base.
fn quantitative_analysis(manifest: &Manifest) -> Option<QuantitativeAnalysis> {
    let metric = |kind: &str, value: f64, slice: String| PerformanceMetric {
        metric_type: Some(kind.to_owned()),
        value: Some(value.to_string()),
        slice: Some(slice),
        confidence_interval: None,
    };
    let training = &manifest.training;
    let loss = training.final_loss.iter();
    let mut all: Vec<PerformanceMetric> = loss
        .map(|loss| metric("loss", *loss, "last training step".to_owned()))
        .collect();
    for figure in &training.eval_metrics {
        let rows = figure.rows.0;
        let slice = format!("{rows} held-out rows");
        all.push(metric(&figure.name, figure.value, slice));
        if let Some(base) = figure.base {
            let slice = format!("{rows} held-out rows, base without the adapter");
            all.push(metric(&figure.name, base, slice));
        }
    }
    (!all.is_empty()).then_some(QuantitativeAnalysis {
        performance_metrics: Some(PerformanceMetrics(all)),
        graphics: None,
    })
}

fn base(base: &ManifestBase) -> Component {
    let mut files: Vec<Component> = base
        .weights
        .iter()
        .map(|it| file(format!("{BASE}:{}", it.path), &it.path, it.sha256))
        .collect();
    if base.format.is_none() {
        let name = "config.json";
        files.push(file(format!("{BASE}:{name}"), name, base.config_sha256));
    }
    // Only a base from the Hub has a revision.
    let revision = base.revision.as_deref();
    let purl = revision.and_then(|it| Purl::from_str(&purl_of_hub(&base.id, it)).ok());
    let facts = [
        ("openlora:base:architecture", base.architecture.clone()),
        ("openlora:base:format", base.format.clone()),
        ("openlora:base:gated", base.gated.map(|it| it.to_string())),
        (
            "openlora:base:tokenizerSha256",
            Some(base.tokenizer_sha256.to_string()),
        ),
    ];
    let facts = facts.into_iter();
    // One file of weights is the base itself.
    let own_hashes = match base.weights.as_slice() {
        [weights] => hashes(weights.sha256),
        _ => None,
    };
    let known = facts.filter_map(|(name, value)| Some(Property::new(name, &value?)));
    Component {
        bom_ref: Some(BASE.to_owned()),
        version: revision.map(NormalizedString::new),
        hashes: own_hashes,
        licenses: licenses(base.license.as_deref()),
        purl,
        properties: properties(known.collect()),
        components: Some(Components(files)),
        ..component(Classification::MachineLearningModel, &base.id)
    }
}

/// The owner of a repository is the namespace (purl-spec, type huggingface).
fn purl_of_hub(id: &str, commit: &str) -> String {
    format!("pkg:huggingface/{id}@{}", commit.to_lowercase())
}

fn dataset_reference(data: &ManifestDataset) -> String {
    format!("data:{}", data.id)
}

/// The digest is that of the normalised rows, and not of a file.
fn dataset(data: &ManifestDataset) -> Component {
    let mut pairs = vec![
        Property::new("openlora:dataset:digestOf", "normalised rows"),
        Property::new("openlora:dataset:records", &data.records.0.to_string()),
        Property::new("openlora:dataset:access", &data.access),
    ];
    if let Some(distinct) = data.distinct_records {
        let text = distinct.0.to_string();
        pairs.push(Property::new("openlora:dataset:distinctRecords", &text));
    }
    if let Some(owner) = data.owner {
        let text = owner.to_string();
        pairs.push(Property::new("openlora:dataset:owner", &text));
    }
    Component {
        bom_ref: Some(dataset_reference(data)),
        author: Some(NormalizedString::new(&data.contributor)),
        hashes: hashes(data.sha256),
        licenses: licenses(data.license.as_deref()),
        properties: properties(pairs),
        ..component(Classification::Data, &data.id)
    }
}

fn dependencies(manifest: &Manifest) -> Dependencies {
    let datasets = manifest.datasets.iter().map(dataset_reference);
    Dependencies(vec![Dependency {
        dependency_ref: ADAPTER.to_owned(),
        dependencies: std::iter::once(BASE.to_owned()).chain(datasets).collect(),
    }])
}

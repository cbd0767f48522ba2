//! The demo's second adapter, which makes pictures: trained, registered, and sold by the same server.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    buyer::{CallLog, DemoBuyer},
    script::DemoScript,
    steps::{PICTURES, milliseconds},
};
use crate::commands::{
    call::{AdapterAnswer, CallResult},
    deploy::DeployReport,
};
use openlora_chain::balance::shown_amount;
use openlora_core::error::{ExitClass, Failure};

/// Far fewer than the template's own steps, which take a minute.
const STEPS: &str = "40";
/// The demo's token has six decimals.
const DECIMALS: u8 = 6;

/// Captions that are not in the template's data, and the files for their pictures.
const CAPTIONS: &[(&str, &str)] = &[
    ("a red star on blue, in ink", "star.png"),
    ("three green circles on white, with dots", "circles.png"),
    (
        "a yellow boat at night under the moon, with shadows",
        "boat.png",
    ),
    ("a purple heart on orange, in ink", "heart.png"),
];

/// The training of the adapter that makes pictures, and what was sold of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PictureSales {
    pub trained: PictureTraining,
    pub adapter_id: String,
    pub sold: Vec<SoldPicture>,
}

/// Figures of the training run.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PictureTraining {
    pub steps: u64,
    pub seconds: f64,
    pub final_loss: f64,
}

/// A picture that the buyer paid for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SoldPicture {
    pub caption: &'static str,
    /// SHA-256 of the PNG file, hex, as its receipt states it.
    pub sha256: String,
    pub milliseconds: u64,
}

/// An adapter that makes pictures, ready to be served.
pub(super) struct DemoPainter {
    trained: PictureTraining,
    deployed: DeployReport,
    /// The signed package.
    pub package: PathBuf,
}

/// What is read of the result of `package`.
#[derive(Deserialize)]
struct PainterPackage {
    package: PathBuf,
}

impl DemoScript<'_> {
    /// Trains an adapter on pictures of three owners, and registers it.
    pub(super) async fn make_painter(&self) -> Result<DemoPainter, Failure> {
        let init = ["init", PICTURES, "--template", PICTURES];
        self.step(6, "Another adapter makes pictures", &[]);
        self.print_shell_line("cd ..");
        self.print_command(&init);
        let dir = self.program.dir();
        self.program.run(dir, &init).await?;
        let project = dir.join(PICTURES);
        self.print_shell_line(&format!("cd {PICTURES}"));
        let train = ["train", "--max-steps", STEPS];
        self.print_command(&train);
        let trained: PictureTraining = self.program.read(&project, &train).await?;
        self.print_line(&format!(
            "  {} steps on pictures of three owners in {:.1} s, final loss {:.3}",
            trained.steps, trained.seconds, trained.final_loss
        ));
        self.print_command(&["package"]);
        let package: PainterPackage = self.program.read(&project, &["package"]).await?;
        self.print_command(&["deploy"]);
        let deployed: DeployReport = self.program.read(&project, &["deploy"]).await?;
        self.print_line(&format!(
            "  adapter {} version {}, {} gas, paid through {}",
            deployed.adapter_id, deployed.version, deployed.gas_used, deployed.splitter
        ));
        Ok(DemoPainter {
            trained,
            deployed,
            package: package.package,
        })
    }

    /// Buys pictures and keeps their files in the demo's folder.
    pub(super) async fn buy_pictures(
        &self,
        project: &Path,
        buyer: &DemoBuyer,
        url: &str,
        painter: DemoPainter,
        log: &mut CallLog,
    ) -> Result<PictureSales, Failure> {
        let mut sold = Vec::new();
        for (caption, file) in CAPTIONS {
            let out = self.program.dir().join(file);
            let out = out.to_string_lossy();
            let args = [
                "call",
                caption,
                "--adapter",
                PICTURES,
                "--url",
                url,
                "-o",
                &out,
            ];
            self.print_command_of(&buyer.program, &args);
            let answer: CallResult = buyer.program.read(project, &args).await?;
            let picture = picture_of(caption, &answer)?;
            self.print_line(&format!(
                "  a picture ({} ms, {} dUSD), sha256 {:.12}…",
                picture.milliseconds,
                shown_amount(&answer.paid.to_string(), DECIMALS),
                picture.sha256
            ));
            sold.push(picture);
            log.answers.push(answer);
        }
        Ok(PictureSales {
            trained: painter.trained,
            adapter_id: painter.deployed.adapter_id,
            sold,
        })
    }
}

fn picture_of(caption: &'static str, answer: &CallResult) -> Result<SoldPicture, Failure> {
    let AdapterAnswer::Pictures { pictures } = &answer.said else {
        return Err(no_picture(answer));
    };
    let picture = pictures.first().ok_or_else(|| no_picture(answer))?;
    Ok(SoldPicture {
        caption,
        sha256: picture.sha256.clone(),
        milliseconds: milliseconds(answer)?,
    })
}

fn no_picture(answer: &CallResult) -> Failure {
    let message = format!("the call {} has no picture", answer.id);
    Failure::new(ExitClass::Verification, message)
}

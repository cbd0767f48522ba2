//! States on the home chain where others reach a server. That a chain, an account or an address does
//! not allow it stops no call: the operator reads why, and it is tried again.

use std::{sync::Arc, time::Duration};

use openlora_core::error::Failure;
use openlora_payments::settlement::{SettlementClient, TxPurpose};
use openlora_release::deploy::{LONGEST_SERVER_URL, announcement};
use tokio_util::sync::CancellationToken;

use super::notice::{NoticeListener, RuntimeNotice};

/// The pause before the next attempt, which doubles, and the longest one.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// A server's address that is to be on the chain. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ServerAnnouncement {
    pub url: String,
    pub client: Arc<SettlementClient>,
    pub listener: NoticeListener,
}

impl ServerAnnouncement {
    /// States the address once; false if it should be tried again.
    pub async fn attempt(&self, pause: Duration) -> bool {
        let longest = LONGEST_SERVER_URL;
        if self.url.len() > longest {
            let found = self.url.len();
            let reason = format!("it has {found} bytes, expected at most {longest}");
            self.report(reason, None);
            return true;
        }
        match self.state().await {
            Ok(()) => true,
            Err(failure) => {
                self.report(failure.message, Some(pause));
                false
            }
        }
    }

    /// Tries again until it is done.
    pub async fn keep_trying(self, stop: CancellationToken) {
        let mut pause = PAUSE;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            if self.attempt(pause).await {
                return;
            }
        }
    }

    /// The first attempt.
    pub async fn begin(&self) -> bool {
        self.attempt(PAUSE).await
    }

    async fn state(&self) -> Result<(), Failure> {
        let chain = self.client.chain();
        let Some(step) = announcement(chain, self.client.account(), &self.url).await? else {
            return Ok(());
        };
        let purpose = TxPurpose {
            key: step.key,
            label: step.deed,
        };
        self.client.carry_out(step.to, step.data, purpose).await?;
        Ok(())
    }

    fn report(&self, reason: String, again: Option<Duration>) {
        (self.listener)(RuntimeNotice::NotAnnounced {
            url: &self.url,
            reason,
            again,
        });
    }
}

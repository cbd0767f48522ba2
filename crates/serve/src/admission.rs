//! Admits a request as a call: checks whether it was answered before, checks its payment, waits for
//! an engine, and reserves the call with the meter.

use std::sync::Arc;

use super::{
    adapter_registry::ServedAdapter,
    answer::FinishedAnswer,
    api_error::ApiError,
    app::AppState,
    calls::CallSlot,
    client::ClientAddress,
    gate::Permit,
    intake::CallIntake,
    listing::{listing, tool_listing},
    meter::{Admission, CallReservation, ReservedCall},
    on_demand_loading::find_or_fetch,
    payment::unpaid_at,
    request_id::RequestId,
};
use openlora_core::Address;
use openlora_engine::{Engine, FairShareKey, Prompt};
use openlora_ledger::{CallComputation, CallWork, event::CallKind};
use openlora_ports::{CallListing, OfferedCall, PaymentDemand, PaymentGuard, Presenter};

/// An admitted call.
pub enum OpenedCall {
    Run(CallTicket),
    /// The call was answered before.
    Repeated(FinishedAnswer),
}

/// What a call needs to run: its id, its engine turn, its engine, and a payment guard if calls are
/// paid.
pub struct CallTicket {
    pub slot: CallSlot,
    pub permit: Permit,
    /// The adapter's weights are in memory until it is dropped.
    pub engine: Arc<dyn Engine>,
    pub guard: Option<Box<dyn PaymentGuard>>,
}

/// The input of the model in one call.
pub struct CallPrompts {
    pub kind: CallKind,
    pub prompts: Vec<Prompt>,
    pub prompt_tokens: u64,
    pub computation: CallComputation,
}

impl AppState {
    /// Whether a free call runs or was answered before. Ids of paid calls depend on their payers,
    /// so a call is looked up by its id only after its payment is known.
    pub async fn admit(&self, intake: &CallIntake) -> Result<Option<Admission>, ApiError> {
        match self.sales {
            Some(_) => Ok(None),
            None => self
                .meter
                .admit(&intake.id, &intake.id, &intake.fingerprint)
                .await
                .map(Some),
        }
    }

    /// Starts a call that is free or paid for. While a call waits for its payer's channel, it gives
    /// its turn to others.
    pub async fn open(
        &self,
        intake: &mut CallIntake,
        admission: Option<Admission>,
        permit: Option<Permit>,
        work: CallWork,
        media_type: &'static str,
    ) -> Result<OpenedCall, ApiError> {
        match admission {
            Some(Admission::Repeated(answer)) => return Ok(OpenedCall::Repeated(answer)),
            Some(Admission::Fresh(slot)) => {
                let ticket = self.open_free(intake, slot, permit, work).await?;
                return Ok(OpenedCall::Run(ticket));
            }
            None => {}
        }
        let Some(sales) = &self.sales else {
            return Err(ApiError::unavailable(
                "payment_unavailable",
                "Nothing is sold here.",
            ));
        };
        let presenter = Presenter {
            is_limited: self.refused.is_limited(intake.address),
            ..self.meter.presenter(&intake.id, intake.retry_address)
        };
        let mut sale = intake.sale(work, media_type, presenter);
        let Some(payment) = intake.payment.clone() else {
            return Err(unpaid_at(
                sales.gateway.terms(&sale),
                &sales.currency,
                sale.quote,
            ));
        };
        let mut opened = sales.gateway.open(&sale, &payment).await;
        if intake.adapter.is_announced
            && let Ok(guard) = &opened
        {
            // The payment is good, so the adapter is fetched for it. Its channel is free meanwhile.
            let payer = guard.payment().limited_account();
            drop(opened);
            intake.adapter = find_or_fetch(self, &intake.adapter.name, Some(payer)).await?;
            fits(&intake.adapter, work)?;
            sale = intake.sale(work, media_type, sale.presenter);
            opened = sales.gateway.open(&sale, &payment).await;
        }
        let priced = |why| unpaid_at(why, &sales.currency, sale.quote);
        let mut guard = match opened {
            Ok(guard) => guard,
            Err(PaymentDemand::Used {
                request_id,
                request_hash,
                named_by,
                otherwise,
            }) => {
                return self
                    .used(
                        intake,
                        &request_id,
                        &request_hash,
                        named_by,
                        priced(*otherwise),
                    )
                    .await;
            }
            Err(why) => {
                self.count_refusal(&why, intake.address);
                return Err(priced(why));
            }
        };
        let admitted = self
            .meter
            .admit_paid(&intake.id, guard.payment(), &intake.fingerprint);
        let slot = match admitted.await? {
            Admission::Repeated(answer) => return Ok(OpenedCall::Repeated(answer)),
            Admission::Fresh(slot) => slot,
        };
        intake.id = slot.id().clone();
        guard.name(intake.id.as_str());
        self.attributions
            .check_room(Some(guard.payment().limited_account()))?;
        let payer = FairShareKey::from(guard.payment().limited_account().to_string());
        let adapter = &intake.adapter.name;
        let permit = self.gate.enter(adapter, &payer, work.tokens()).await?;
        // An adapter that cannot answer, and one that must not, take no money.
        let engine = intake.engine_for(&payer).await?;
        self.screen_prompt(intake, &payer).await?;
        guard.commit().await.map_err(priced)?;
        let guard = Some(guard);
        Ok(OpenedCall::Run(CallTicket {
            slot,
            permit,
            engine,
            guard,
        }))
    }

    async fn open_free(
        &self,
        intake: &CallIntake,
        slot: CallSlot,
        permit: Option<Permit>,
        work: CallWork,
    ) -> Result<CallTicket, ApiError> {
        let permit = match permit {
            Some(permit) => permit,
            None => {
                let adapter = &intake.adapter.name;
                let tokens = work.tokens();
                self.gate.enter(adapter, &intake.caller(), tokens).await?
            }
        };
        let engine = intake.engine_for(&intake.caller()).await?;
        self.screen_prompt(intake, &intake.caller()).await?;
        Ok(CallTicket {
            slot,
            permit,
            engine,
            guard: None,
        })
    }

    /// Refuses a prompt that the filter does not let pass.
    async fn screen_prompt(
        &self,
        intake: &CallIntake,
        payer: &FairShareKey,
    ) -> Result<(), ApiError> {
        match (&self.prompt_filter, &intake.screened) {
            (Some(filter), Some(prompt)) => filter.screen(&self.adapters, prompt, payer).await,
            _ => Ok(()),
        }
    }

    /// Counts a refusal that the chain may have been asked about.
    pub fn count_refusal(&self, why: &PaymentDemand, address: Option<ClientAddress>) {
        if let PaymentDemand::Required {
            asked_chain: true, ..
        } = why
        {
            self.refused.count(address);
        }
    }

    /// Waits for an engine turn if calls are free: nothing else bounds the work before such a call.
    pub async fn turn_if_free(
        &self,
        intake: &CallIntake,
        tokens: u64,
    ) -> Result<Option<Permit>, ApiError> {
        if self.sales.is_some() {
            return Ok(None);
        }
        self.attributions.check_room(None)?;
        let adapter = &intake.adapter.name;
        let caller = intake.caller();
        Ok(Some(self.gate.enter(adapter, &caller, tokens).await?))
    }

    /// A payment that was used for the same request gets the same answer. A payment that may be a
    /// copy gets it only with the call's id.
    async fn used(
        &self,
        intake: &CallIntake,
        request_id: &str,
        request_hash: &str,
        named_by: Option<Address>,
        otherwise: ApiError,
    ) -> Result<OpenedCall, ApiError> {
        let own = |id: &RequestId| {
            named_by.is_none_or(|payer| self.meter.is_named(id, payer, &intake.id))
        };
        let id = RequestId::parse(request_id).filter(|_| request_hash == intake.fingerprint.hash);
        let id = id.filter(own);
        let Some(id) = id else {
            return Err(otherwise);
        };
        match self
            .meter
            .admit(&id, &intake.id, &intake.fingerprint)
            .await?
        {
            Admission::Repeated(answer) => Ok(OpenedCall::Repeated(answer)),
            Admission::Fresh(_) => Err(otherwise),
        }
    }

    /// Reserves a call that has an engine turn.
    pub async fn reserve(
        &self,
        intake: &CallIntake,
        CallTicket {
            slot,
            permit,
            engine: _,
            guard,
        }: CallTicket,
        asked: CallPrompts,
    ) -> Result<ReservedCall, ApiError> {
        let CallPrompts {
            kind,
            prompts,
            prompt_tokens,
            computation,
        } = asked;
        let reservation = CallReservation {
            slot,
            fingerprint: intake.fingerprint.clone(),
            adapter: Arc::clone(&intake.adapter),
            kind,
            prompt_tokens,
            accepted: intake.accepted,
            static_shares: intake.static_shares,
            permit,
            guard,
            prompts,
            computation,
        };
        self.meter.reserve(reservation).await
    }
}

/// Refuses work that a fetched adapter does not do, before its payment is taken.
fn fits(adapter: &ServedAdapter, work: CallWork) -> Result<(), ApiError> {
    let of_pictures = matches!(work, CallWork::Images { .. });
    let makes_pictures = adapter.engine.images().is_some();
    if of_pictures == makes_pictures {
        return Ok(());
    }
    let (code, what) = match makes_pictures {
        true => ("not_a_text_model", "makes pictures"),
        false => ("not_an_image_model", "makes no pictures"),
    };
    let (name, path) = (&adapter.name, adapter.usual_path());
    let message = format!("The model '{name}' {what}; use {path}.");
    Err(ApiError::invalid(code, "model", message))
}

impl CallIntake {
    /// Whom a free call counts for: the client that it came from.
    fn caller(&self) -> FairShareKey {
        let address = self.address.map(ClientAddress::text);
        address.map_or_else(FairShareKey::default, FairShareKey::from)
    }

    /// The adapter's engine for one call that counts for `payer`.
    async fn engine_for(&self, payer: &FairShareKey) -> Result<Arc<dyn Engine>, ApiError> {
        let engine = &self.adapter.engine;
        match engine.for_call(payer).await {
            Ok(own) => Ok(own.unwrap_or_else(|| Arc::clone(engine))),
            Err(error) => Err(ApiError::from_engine(&error)),
        }
    }

    /// How the called route is declared to directories.
    fn listing(&self) -> CallListing {
        match &self.tool {
            Some(tool) => tool_listing(&self.adapter, tool, &self.resource),
            None => listing(&self.adapter, &self.path, &self.resource),
        }
    }

    fn sale(&self, work: CallWork, media_type: &'static str, presenter: Presenter) -> OfferedCall {
        OfferedCall {
            adapter: self.adapter.name.clone(),
            adapter_digest: self.adapter.digest.clone(),
            resource: self.resource.clone(),
            media_type,
            listing: self.listing(),
            request_id: self.id.as_str().to_owned(),
            request_hash: self.fingerprint.hash.clone(),
            request: self.digest,
            presenter,
            work,
            prices: self.adapter.prices,
            quote: self.adapter.prices.price_of(work),
        }
    }
}

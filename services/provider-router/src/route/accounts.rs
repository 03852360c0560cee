//! Keeps what only one account can use away from the others.

use signalbox_core::Api;

use super::{Candidate, Plan, SkipReason};
use crate::{account_state::AccountState, envelope::Envelope, provider::Adapter};

// === impl Plan ===

impl Plan {
    /// Marks what the targets cannot read of a request. If it names an id that only its provider may know, and that is
    /// not known, only the first target that may have it stays.
    pub fn keep_apart(&mut self, state: AccountState, envelope: &Envelope) {
        if state.names_unknown
            && let Some(first) = self.candidates.iter().position(|candidate| candidate.account_of(envelope).is_some())
        {
            let mut place = 0;
            self.skip(|_| {
                place += 1;
                (place - 1 != first).then_some(SkipReason::UnknownId)
            });
        }
        if !state.sealed.is_empty() {
            let accounts = self.candidates.iter().map(|candidate| candidate.account_of(envelope));
            let accounts: Vec<Option<u64>> = accounts.collect();
            let first = accounts.iter().flatten().next().copied();
            for (candidate, account) in self.candidates.iter_mut().zip(accounts) {
                let (Some(account), Some(first)) = (account, first) else { continue };
                candidate.foreign = state.foreign_to(account, first);
            }
        }
        self.state = state;
    }

    /// Returns the account of the first target.
    pub(super) fn first_account(&self) -> Option<u64> {
        self.candidates.iter().find_map(|candidate| match &candidate.provider.adapter {
            Adapter::Remote(remote) => Some(remote.account),
            Adapter::Echo(_) | Adapter::Misconfigured(_) => None,
        })
    }
}

// === impl Candidate ===

impl Candidate {
    /// Returns the account at which the request is sent in Responses; `None` if it is sent in another API.
    pub(super) fn account_of(&self, envelope: &Envelope) -> Option<u64> {
        let Adapter::Remote(remote) = &self.provider.adapter else { return None };
        (self.api_for(envelope) == Api::Responses).then_some(remote.account)
    }
}

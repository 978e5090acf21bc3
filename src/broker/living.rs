//! Applications whose SAML metadata live: each time there are others, there is another application, as a whole. The
//! snapshot of the configuration ([`super::live::Live`]) takes the newest, so that a request is served by one of them to its
//! end, and the index by entity ID is always that of the applications beside it.

use super::Gateway;
use crate::application::saml_sp_template::ByMetadata;
use crate::application::{Application, SamlApplication};
use crate::clock::Timestamp;
use crate::connection::metadata::{Feeds, Living, Members, Owner, Snapshot, Tended};
use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A registered application and the source of its metadata.
pub struct LivingApplication {
    /// Without what metadata say.
    registered: Arc<Application>,
    by_metadata: Arc<ByMetadata>,
    living: Living,
    source: Arc<Tended>,
    made: Mutex<Option<Made>>,
}

/// The application as it was made last.
struct Made {
    /// Out of this copy; `None`: there was none.
    of: Option<Weak<Snapshot>>,
    application: Arc<Application>,
}

impl LivingApplication {
    /// # Errors
    /// When the application has no such metadata, or no HTTP client can be made.
    pub fn new(registered: Application, living: &Living, feeds: &Feeds) -> Result<Self> {
        let missing = || Error::new(ErrorKind::Internal, "the application is not known by metadata");
        let by_metadata = registered.by_metadata.clone().ok_or_else(missing)?;
        let source = feeds.open(Owner::application(&registered.client_id), living)?;
        Ok(Self { registered: Arc::new(registered), by_metadata, living: living.clone(), source, made: Mutex::default() })
    }

    /// As it is registered, without its SAML part.
    pub const fn registered(&self) -> &Arc<Application> {
        &self.registered
    }

    /// Where its metadata come from.
    pub const fn living(&self) -> &Living {
        &self.living
    }

    /// As its metadata describe it at `now`; without a SAML part where there are none.
    pub fn at(&self, now: Timestamp) -> Arc<Application> {
        let snapshot = self.source.snapshot(None, now);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.as_ref().filter(|known| known.is_good(snapshot.as_ref(), now)) {
            return Arc::clone(&known.application);
        }
        let saml = snapshot.as_ref().and_then(|snapshot| self.speaking(snapshot, now));
        let application = Arc::new(self.registered.speaking_saml(saml));
        *made = Some(Made { of: snapshot.as_ref().map(Arc::downgrade), application: Arc::clone(&application) });
        application
    }

    /// Would [`Self::at`] answer something new?
    pub fn is_stale(&self, now: Timestamp) -> bool {
        let snapshot = self.source.snapshot(None, now);
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.as_ref().is_none_or(|known| !known.is_good(snapshot.as_ref(), now))
    }

    fn speaking(&self, snapshot: &Snapshot, now: Timestamp) -> Option<SamlApplication> {
        let entity_id = self.source.sole(snapshot, now)?;
        // A new document was looked at before it was taken; what can be wrong here is that an entity is over, or that the
        // endpoints which stay in force do not go together with what is new beside them.
        let made = snapshot.sp(self.source.role(), &entity_id, now).map_err(|error| error.to_string()).and_then(|metadata| {
            let told = |problems: Vec<_>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            self.by_metadata.with(&metadata).map_err(|problems: Vec<crate::application::saml_sp::Problem>| told(problems))
        });
        made.inspect_err(|why| tracing::warn!(application = self.registered.client_id, why, "its metadata cannot be used")).ok()
    }
}

impl Made {
    fn is_good(&self, snapshot: Option<&Arc<Snapshot>>, now: Timestamp) -> bool {
        let same = match (&self.of, snapshot) {
            (None, None) => true,
            (Some(of), Some(snapshot)) => std::ptr::eq(of.as_ptr(), Arc::as_ptr(snapshot)),
            (None, Some(_)) | (Some(_), None) => false,
        };
        same && self.application.saml.as_ref().is_none_or(|saml| !saml.is_over(now))
    }
}

impl fmt::Debug for LivingApplication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LivingApplication({})", self.registered.client_id)
    }
}

impl Gateway {
    /// What to say where an application is meant whose metadata are not there.
    pub(super) fn unavailable(&self, application: &Application) -> Option<Error> {
        let by_metadata = application.by_metadata.as_ref()?;
        let why = format!("nothing is in force of {}", by_metadata.source);
        Some(Error::new(ErrorKind::Misconfigured, "The metadata of the application are not available at present.").because(why))
    }
}

/// The application as the last good copy on disk describes it: for explanations, where no gateway need run.
pub async fn as_kept_on_disk(registered: Application, living: &Living, now: Timestamp) -> Result<Arc<Application>> {
    debug_assert_eq!(living.members, Members::One, "an application is one entity");
    let application = LivingApplication::new(registered, living, &Feeds::default())?;
    application.source.restore(&[], now).await;
    Ok(application.at(now))
}

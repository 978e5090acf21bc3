//! A logout under way: who began it, who is to be told, and what each of them has said. The session itself is over before
//! there is one of these.

use super::{Mirror, Partner, Trace, UpstreamSession};
use crate::clock::Timestamp;
use crate::saml::logout::{LogoutOutcome, ReceivedLogout};
use serde::{Deserialize, Serialize};

/// The logout itself. Whoever knows its id may go on with it: that ends nothing that is not over already.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Logout {
    /// 128 random bits, hex.
    pub id: String,
    pub correlation_id: String,
    pub starter: LogoutStarter,
    /// In the order in which they are told.
    pub parties: Vec<Party>,
    /// It happens in a frame of somebody's page, where none of ours can be shown.
    pub framed: bool,
    /// The browser has been through the hidden frames; from here on it visits one partner after the other.
    #[serde(default)]
    pub frames_over: bool,
    /// The starter has its answer.
    pub answered: bool,
    pub trace: Trace,
}

/// Who began it, and so gets the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum LogoutStarter {
    /// An OpenID application, or the person alone; `after` is a registered address.
    OpenId { client_id: Option<String>, after: Option<String> },
    /// A SAML application. The request was verified.
    Application { client_id: String, mirror: Option<Mirror>, request: ReceivedLogout },
    /// An identity provider. The request was verified.
    Upstream { connection: String, request: ReceivedLogout },
    /// An OpenID provider, which waits for no answer by the browser. What it said was verified.
    Provider { connection: String },
}

impl LogoutStarter {
    /// For counting.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OpenId { .. } => "oidc",
            Self::Application { .. } => "saml",
            Self::Upstream { .. } | Self::Provider { .. } => "idp",
        }
    }
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// For people.
    pub name: String,
    pub way: Way,
    pub told: Told,
    /// It is told in a hidden frame as well, beside all others, before the browser visits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<PartnerFrame>,
}

/// A LogoutRequest in a hidden frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerFrame {
    pub request_id: String,
    /// [`Told::Confirmed`] or [`Told::Failed`]; `None` as long as there is no answer.
    #[serde(default)]
    pub answer: Option<Told>,
}

/// What came of one frame. Several answer at once, so each is kept by itself until the browser goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameAnswer {
    pub at: Timestamp,
    pub request_id: String,
    pub told: Told,
}

/// By what way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// A logout token, from here to there.
    BackChannel { client_id: String },
    /// A hidden frame on our page.
    Frame { client_id: String, address: String },
    /// A LogoutRequest: in SOAP where the application takes that, else by the browser.
    Saml(Box<Partner>),
    /// A LogoutRequest by the browser, to the identity provider.
    Upstream { connection: String, session: Box<UpstreamSession> },
    /// There is none.
    Nowhere,
}

/// How far that has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    Waiting,
    /// The browser was sent there with the request of this ID, and has not come back.
    Asked {
        request_id: String,
    },
    Confirmed,
    /// Its frame was loaded: whether anything came of that, nobody can say.
    Shown,
    /// It says that it knows of no such session.
    Unknown,
    /// It said that it could not, or its answer was not good.
    Failed(String),
    /// The person went on without it.
    Skipped,
    /// It cannot be told.
    Impossible,
}

impl Logout {
    pub fn key(id: &str) -> String {
        format!("logout:{id}")
    }

    /// Store key of the way from a LogoutRequest of ours to the logout that it belongs to.
    pub fn request_key(request_id: &str) -> String {
        format!("logout-request:{}", crate::id::digest(request_id))
    }

    /// Store key of the list of [`FrameAnswer`]s.
    pub fn frames_key(id: &str) -> String {
        format!("logout-frames:{id}")
    }

    /// Has everybody who is visited by the browser told in a frame before; `request_id` makes an ID. Nobody is in a frame of
    /// somebody's page, which the person does not see.
    pub fn frame_partners(&mut self, mut request_id: impl FnMut() -> String) {
        if self.framed || self.frames_over {
            return;
        }
        for party in self.parties.iter_mut().filter(|party| party.told == Told::Waiting && matches!(party.way, Way::Saml(_))) {
            party.frame.get_or_insert_with(|| PartnerFrame { request_id: request_id(), answer: None });
        }
    }

    /// The partners whose frames are to be shown, and their places.
    pub fn partner_frames(&self) -> impl Iterator<Item = (usize, &Partner)> {
        let shown = |party: &&Party| !self.frames_over && party.told == Told::Waiting && party.frame.is_some();
        self.parties.iter().enumerate().filter(move |(_, party)| shown(party)).filter_map(|(place, party)| match &party.way {
            Way::Saml(partner) => Some((place, &**partner)),
            _ => None,
        })
    }

    /// Who was sent this request in its frame.
    pub fn framed_by(&self, request_id: &str) -> Option<&Party> {
        self.parties.iter().find(|party| party.frame.as_ref().is_some_and(|frame| frame.request_id == request_id))
    }

    /// Takes in what frames have answered; says who did that had not before.
    pub fn frames_answered<'a>(&mut self, answers: &'a [FrameAnswer]) -> Vec<(String, &'a FrameAnswer)> {
        let mut new = Vec::new();
        for party in &mut self.parties {
            let Some(frame) = party.frame.as_mut().filter(|frame| frame.answer.is_none()) else { continue };
            let Some(answer) = answers.iter().find(|answer| answer.request_id == frame.request_id) else { continue };
            frame.answer = Some(answer.told.clone());
            new.push((party.name.clone(), answer));
            if party.told == Told::Skipped {
                party.settle(Told::Skipped);
            }
        }
        new
    }

    /// The page has waited for its frames: who said nothing there is not visited, for it might keep the browser.
    pub fn leave_silent_ones(&mut self) {
        for party in self.parties.iter_mut().filter(|party| party.told == Told::Waiting) {
            if party.frame.as_ref().is_some_and(|frame| frame.answer.is_none()) {
                party.told = Told::Skipped;
            }
        }
    }

    /// The frames that are still to be shown.
    pub fn frames(&self) -> impl Iterator<Item = &str> {
        self.parties.iter().filter(|party| party.told == Told::Waiting).filter_map(|party| match &party.way {
            Way::Frame { address, .. } => Some(address.as_str()),
            _ => None,
        })
    }

    /// The browser is through with all frames.
    pub fn frames_shown(&mut self) {
        self.frames_over = true;
        for party in &mut self.parties {
            if matches!(party.way, Way::Frame { .. }) && party.told == Told::Waiting {
                party.told = Told::Shown;
            }
        }
    }

    /// Who is next to be visited by the browser, or is being visited.
    pub fn stop(&mut self) -> Option<&mut Party> {
        self.parties.iter_mut().find(|party| party.is_stop())
    }

    /// The same, to look at.
    pub fn current(&self) -> Option<&Party> {
        self.parties.iter().find(|party| party.is_stop())
    }

    /// Who was sent this request and has not answered.
    pub fn asked_by(&mut self, request_id: &str) -> Option<&mut Party> {
        self.parties.iter_mut().find(|party| matches!(&party.told, Told::Asked { request_id: asked } if asked == request_id))
    }

    /// The browser has nothing left to do.
    pub fn is_through(&self) -> bool {
        self.current().is_none() && self.frames().next().is_none()
    }

    /// What to say to a SAML partner. Those who cannot be told count: its user may still be signed in there.
    pub fn outcome(&self) -> LogoutOutcome {
        let good = self.parties.iter().all(|party| matches!(party.told, Told::Confirmed | Told::Shown));
        if good { LogoutOutcome::Done } else { LogoutOutcome::Partial }
    }

    /// Those who could be told, and have not confirmed it: worth stopping the person for.
    pub fn missing(&self) -> impl Iterator<Item = &Party> {
        self.parties.iter().filter(|party| !matches!(party.told, Told::Confirmed | Told::Shown | Told::Impossible))
    }
}

impl Party {
    pub const fn new(name: String, way: Way, told: Told) -> Self {
        Self { name, way, told, frame: None }
    }

    /// What it has said in the window, or that it says nothing there. Who has confirmed in its frame may keep silent, or know
    /// of no such session any more.
    pub fn settle(&mut self, told: Told) {
        let confirmed = self.frame.as_ref().is_some_and(|frame| frame.answer == Some(Told::Confirmed));
        self.told = if confirmed && matches!(told, Told::Skipped | Told::Unknown) { Told::Confirmed } else { told };
    }

    fn is_stop(&self) -> bool {
        matches!(self.way, Way::Saml(_) | Way::Upstream { .. }) && matches!(self.told, Told::Waiting | Told::Asked { .. })
    }
}

impl Told {
    /// In words for the trace and the log.
    pub fn text(&self) -> String {
        match self {
            Self::Waiting => "not told yet".to_owned(),
            Self::Asked { .. } => "told, no answer yet".to_owned(),
            Self::Confirmed => "signed out".to_owned(),
            Self::Shown => "told; it does not say whether it worked".to_owned(),
            Self::Unknown => "not signed out: it knows of no such session".to_owned(),
            Self::Failed(why) => format!("not signed out: {why}"),
            Self::Skipped => "no answer".to_owned(),
            Self::Impossible => "cannot be told".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saml::NameId;

    fn party(way: Way, told: Told) -> Party {
        Party::new("x".into(), way, told)
    }

    fn upstream() -> Way {
        Way::Upstream { connection: "acme".into(), session: Box::default() }
    }

    fn logout(parties: Vec<Party>) -> Logout {
        let starter = LogoutStarter::OpenId { client_id: None, after: None };
        Logout {
            id: "i".into(),
            correlation_id: "c".into(),
            starter,
            parties,
            framed: false,
            frames_over: false,
            answered: false,
            trace: Trace::default(),
        }
    }

    #[test]
    fn is_done_only_when_everybody_has_confirmed() {
        let back = || Way::BackChannel { client_id: "a".into() };
        assert_eq!(logout(Vec::new()).outcome(), LogoutOutcome::Done);
        assert_eq!(logout(vec![party(back(), Told::Confirmed), party(upstream(), Told::Confirmed)]).outcome(), LogoutOutcome::Done);
        let others = [Told::Failed("no".into()), Told::Skipped, Told::Impossible, Told::Waiting, Told::Asked { request_id: "r".into() }];
        for told in others {
            let missing = usize::from(told != Told::Impossible);
            let logout = logout(vec![party(back(), Told::Confirmed), party(upstream(), told.clone())]);
            assert_eq!((logout.outcome(), logout.missing().count()), (LogoutOutcome::Partial, missing), "{told:?}");
        }
    }

    fn partner() -> Way {
        let name_id = NameId { value: "n".into(), format: None, name_qualifier: None, sp_name_qualifier: None, sp_provided_id: None };
        let (client_id, entity_id) = ("wiki".into(), "https://wiki.example/saml".into());
        Way::Saml(Box::new(Partner { client_id, entity_id, name_id, session_index: "i".into(), mirror: None }))
    }

    fn in_frames() -> Logout {
        let mut number = 0;
        let mut logout = logout(vec![party(partner(), Told::Waiting), party(partner(), Told::Waiting), party(upstream(), Told::Waiting)]);
        logout.frame_partners(|| {
            number += 1;
            format!("r{number}")
        });
        logout
    }

    fn answer(request_id: &str, told: Told) -> FrameAnswer {
        FrameAnswer { at: Timestamp::from_seconds(0), request_id: request_id.into(), told }
    }

    #[test]
    fn applications_are_told_in_frames_and_identity_providers_are_not() {
        let mut logout = in_frames();
        assert_eq!(logout.partner_frames().map(|(place, _)| place).collect::<Vec<_>>(), [0, 1]);
        assert!(logout.framed_by("r2").is_some() && logout.framed_by("r3").is_none());
        let mut nobody_sees = Logout { framed: true, ..in_frames() };
        nobody_sees.parties.iter_mut().for_each(|party| party.frame = None);
        nobody_sees.frame_partners(|| "r".into());
        assert_eq!(nobody_sees.partner_frames().count(), 0);
        logout.frames_shown();
        assert_eq!(logout.partner_frames().count(), 0, "once");
    }

    #[test]
    fn who_says_nothing_in_its_frame_is_not_visited_and_who_does_is() {
        let mut logout = in_frames();
        let answers = [answer("r2", Told::Confirmed), answer("of another", Told::Confirmed)];
        assert_eq!(logout.frames_answered(&answers).len(), 1);
        assert!(logout.frames_answered(&answers).is_empty(), "taken in once");
        logout.leave_silent_ones();
        let told: Vec<_> = logout.parties.iter().map(|party| party.told.clone()).collect();
        assert_eq!(told, [Told::Skipped, Told::Waiting, Told::Waiting]);
        // One that answers late is believed all the same.
        logout.frames_answered(&[answer("r1", Told::Confirmed)]);
        assert_eq!(logout.parties[0].told, Told::Confirmed);
    }

    #[test]
    fn a_confirmation_in_a_frame_stands_unless_the_window_says_otherwise() {
        for (in_frame, in_window, expected) in [
            (Some(Told::Confirmed), Told::Unknown, Told::Confirmed),
            (Some(Told::Confirmed), Told::Skipped, Told::Confirmed),
            (Some(Told::Confirmed), Told::Failed("x".into()), Told::Failed("x".into())),
            (Some(Told::Failed("y".into())), Told::Confirmed, Told::Confirmed),
            (Some(Told::Failed("y".into())), Told::Unknown, Told::Unknown),
            (None, Told::Unknown, Told::Unknown),
            (None, Told::Skipped, Told::Skipped),
        ] {
            let mut party = party(partner(), Told::Waiting);
            party.frame = Some(PartnerFrame { request_id: "r".into(), answer: in_frame.clone() });
            party.settle(in_window.clone());
            assert_eq!(party.told, expected, "{in_frame:?} {in_window:?}");
        }
    }

    #[test]
    fn what_an_earlier_version_has_stored_is_read() {
        let mut stored = serde_json::to_value(logout(vec![party(upstream(), Told::Waiting)])).expect("stored");
        stored.as_object_mut().expect("an object").remove("frames_over");
        let read: Logout = serde_json::from_value(stored).expect("read");
        assert!(!read.frames_over && read.parties[0].frame.is_none());
    }

    #[test]
    fn the_browser_is_through_after_frames_and_stops() {
        let frame = Way::Frame { client_id: "a".into(), address: "https://a.example/out".into() };
        let mut logout = logout(vec![party(frame, Told::Waiting), party(upstream(), Told::Waiting)]);
        assert_eq!(logout.frames().collect::<Vec<_>>(), ["https://a.example/out"]);
        logout.frames_shown();
        assert!(!logout.is_through() && logout.frames().next().is_none());
        logout.stop().expect("upstream").told = Told::Asked { request_id: "r".into() };
        assert!(!logout.is_through() && logout.asked_by("other").is_none());
        logout.asked_by("r").expect("asked").told = Told::Confirmed;
        assert!(logout.is_through() && logout.asked_by("r").is_none());
    }
}

//! Hidden frames of our logout page, in which all partners of SAML are told at once: one that is dead, or keeps the browser,
//! stops nothing.
//!
//! Browsers keep most cookies from such frames, so who answers there is visited in the window as well; but who finds its
//! session by what the request names has ended it by then. Frames answer side by side, at whatever node: each answer is
//! written by itself, to a list that is read when the browser goes on.

use super::browser::{KEPT, reply};
use super::cascade::takes_requests;
use super::{LoggedOut, LogoutReply, PartnerFrameOf};
use crate::broker::{Gateway, decode, encode};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::Step as Note;
use crate::login::{FrameAnswer, Logout, Way};
use crate::store::Op;

/// Answers of one logout that are read; there are no more parties.
const ANSWERS: usize = 200;

impl Gateway {
    /// A frame of the page of a logout: on to its partner.
    ///
    /// # Errors
    /// When there is no such logout, or no such frame in it.
    pub async fn logout_frame(&self, id: &str, place: usize, now: Timestamp) -> Result<LogoutReply> {
        let logout = self.logout_of(id).await?;
        let none = || Error::new(ErrorKind::NotFound, "There is no such part of a sign-out.");
        let party = logout.parties.get(place).ok_or_else(none)?;
        let (Some(frame), Way::Saml(partner)) = (&party.frame, &party.way) else { return Err(none()) };
        // The page may be loaded again; who has answered is not asked again.
        let order = match logout.frames_over || frame.answer.is_some() {
            true => None,
            false => self.order_to_application(partner, &frame.request_id, now)?,
        };
        Ok(reply(&logout, order.map_or(LoggedOut::Framed, LoggedOut::Saml)))
    }

    /// What a partner said in its frame, once.
    pub(super) async fn frame_answered(&self, logout: &Logout, answer: FrameAnswer) -> Result<LogoutReply> {
        let append = Op::Append { key: Logout::frames_key(&logout.id), value: encode(&answer)?, keep: ANSWERS, ttl: KEPT };
        self.sessions.commit(vec![append]).await?;
        Ok(reply(logout, LoggedOut::Framed))
    }

    /// The logout, with what its frames have answered until now.
    pub(super) async fn with_frame_answers(&self, mut logout: Logout) -> Result<Logout> {
        if logout.parties.iter().all(|party| party.frame.is_none()) {
            return Ok(logout);
        }
        let listed = self.sessions.list(&Logout::frames_key(&logout.id), ANSWERS).await?;
        let answers = listed.iter().map(|bytes| decode(bytes)).collect::<Result<Vec<FrameAnswer>>>()?;
        for (name, answer) in logout.frames_answered(&answers) {
            let what = format!("{name} answered in its frame");
            logout.trace.note(answer.at, Note::Decision { what, why: answer.told.text().into() });
        }
        Ok(logout)
    }

    /// Where the frames of a page lead.
    pub(super) fn partner_frames(&self, logout: &Logout) -> Vec<PartnerFrameOf> {
        let frame = |(place, client_id): (usize, &str)| {
            let (_, saml) = self.service_provider_of(client_id).ok()?;
            let origin = takes_requests(saml)?.location.origin().ascii_serialization();
            Some(PartnerFrameOf { address: format!("/logout/{}/frame/{place}", logout.id), origin })
        };
        logout.partner_frames().map(|(place, partner)| (place, partner.client_id.as_str())).filter_map(frame).collect()
    }
}

/// The way from each frame's request to the logout.
pub(super) fn frame_ops(logout: &Logout) -> Vec<Op> {
    let waiting = logout.partner_frames().filter_map(|(place, _)| logout.parties.get(place)?.frame.as_ref());
    let key = |request_id: &str| Logout::request_key(request_id);
    waiting.map(|frame| Op::Put { key: key(&frame.request_id), value: logout.id.clone().into_bytes(), ttl: KEPT }).collect()
}

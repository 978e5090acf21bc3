//! Users that are there before anybody has signed in.

use super::{Admin, By};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::store::NewUser;
use crate::user::metadata::Part;
use crate::user::sealing;
use serde_json::json;

impl Admin {
    /// Makes the users that do not exist, and leaves the others alone; the answer is how many it made. Several nodes may
    /// do it at once: each user is made by one of them.
    pub async fn seed(&self, users: &[NewUser], now: Timestamp) -> Result<usize> {
        let by = By { actor: "seed", correlation_id: "" };
        let mut made = 0;
        for user in users {
            let user = self.sealed_user(user)?;
            if !self.directory.create_user(&user, now).await? {
                continue;
            }
            made += 1;
            let detail = json!({
                "user_id": user.identity.user_id_for_new_user(), "connection": user.identity.connection, "subject": user.identity.user_id,
            });
            self.audit("user.created", detail, by, now).await;
        }
        Ok(made)
    }

    fn sealed_user(&self, user: &NewUser) -> Result<NewUser> {
        let mut user = user.clone();
        let user_id = user.identity.user_id_for_new_user();
        for (part, object) in [
            (Part::UserMetadata, &mut user.user_metadata),
            (Part::AppMetadata, &mut user.app_metadata),
            (Part::CustomFields, &mut user.custom_fields),
        ] {
            sealing::seal(part, object, &self.sealed, self.sealer(), &user_id)?;
        }
        Ok(user)
    }
}

//! Many registered applications.

use isthmus::clock::Timestamp;
use isthmus::store::{Directory, Expect, ObjectWrite};
use serde_json::json;
use std::sync::Arc;

/// Applications as the management API keeps them.
pub async fn fill(directory: &Arc<dyn Directory>, clients: usize) -> Result<(), String> {
    let ids: Vec<String> = (0..clients).map(|number| format!("client-{number}")).collect();
    for some in ids.chunks(500) {
        let bodies: Vec<String> = some
            .iter()
            .map(|id| {
                let callback = format!("https://{id}.example/cb");
                json!({ "name": id, "app_type": "spa", "callbacks": [callback], "token_endpoint_auth_method": "none" }).to_string()
            })
            .collect();
        let writes: Vec<ObjectWrite<'_>> = some
            .iter()
            .zip(&bodies)
            .map(|(id, body)| ObjectWrite { kind: "client", id, name: None, body: Some(body), expect: Expect::Nothing })
            .collect();
        directory.write_objects(&writes, Timestamp::now()).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

//! The few fields of an answer that are needed. bollard's types have an enum for every word, and refuse a whole answer for one
//! that is new to them: then these are read from the same bytes, and no other field can spoil them.
//!
//! Names of the fields: Docker's API, `ContainerInspect` and `ContainerList` (moby `api/swagger.yaml`); Podman's are the same.

use std::collections::HashMap;

use bollard::errors::Error as Bollard;
use bollard::models::{ContainerInspectResponse, ContainerSummary, EndpointSettings, NetworkInspect};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::super::endpoint::{EndpointFields, NetworkFields};

/// What `GET /containers/NAME/json` answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in super::super) struct InspectedFields {
    pub id: Option<String>,
    pub name: Option<String>,
    pub state: Option<StateFields>,
    #[serde(default, deserialize_with = "if_understood")]
    pub config: Option<ConfigFields>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in super::super) struct StateFields {
    pub status: Option<String>,
    pub pid: Option<i64>,
    #[serde(default, deserialize_with = "if_understood")]
    pub exit_code: Option<i64>,
    #[serde(default, deserialize_with = "if_understood")]
    pub started_at: Option<String>,
    #[serde(default, deserialize_with = "if_understood")]
    pub finished_at: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in super::super) struct ConfigFields {
    pub image: Option<String>,
}

/// One of what `GET /containers/json` answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListedFields {
    pub id: Option<String>,
    #[serde(default, deserialize_with = "if_understood")]
    pub names: Option<Vec<String>>,
    #[serde(default, deserialize_with = "if_understood")]
    pub state: Option<String>,
    #[serde(default, deserialize_with = "if_understood")]
    pub network_settings: Option<NetworkFields>,
}

/// What `GET /networks/NAME` answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InspectedNetwork {
    pub internal: Option<bool>,
}

impl From<NetworkInspect> for InspectedNetwork {
    fn from(answer: NetworkInspect) -> Self {
        InspectedNetwork { internal: answer.internal }
    }
}

impl From<EndpointSettings> for EndpointFields {
    fn from(answer: EndpointSettings) -> Self {
        EndpointFields {
            network_id: answer.network_id,
            gateway: answer.gateway,
            ip_address: answer.ip_address,
            ip_prefix_len: answer.ip_prefix_len,
            ipv6_gateway: answer.ipv6_gateway,
            global_ipv6_address: answer.global_ipv6_address,
            global_ipv6_prefix_len: answer.global_ipv6_prefix_len,
            mac_address: answer.mac_address,
        }
    }
}

impl From<ContainerInspectResponse> for InspectedFields {
    fn from(answer: ContainerInspectResponse) -> Self {
        let state = answer.state.map(|state| StateFields {
            status: state.status.map(|status| status.as_ref().to_owned()),
            pid: state.pid,
            exit_code: state.exit_code,
            started_at: state.started_at,
            finished_at: state.finished_at,
        });
        let config = answer.config.map(|config| ConfigFields { image: config.image });
        InspectedFields { id: answer.id, name: answer.name, state, config }
    }
}

impl From<ContainerSummary> for ListedFields {
    fn from(answer: ContainerSummary) -> Self {
        let networks = answer.network_settings.and_then(|settings| settings.networks);
        let fields = |networks: HashMap<_, _>| {
            networks.into_iter().map(|(name, one)| (name, EndpointFields::from(one))).collect()
        };
        ListedFields {
            id: answer.id,
            names: answer.names,
            state: answer.state.map(|state| state.as_ref().to_owned()),
            network_settings: networks.map(fields),
        }
    }
}

/// The fields of `answer`, or those of what bollard could not read.
pub(super) fn of<T: Into<F>, F: DeserializeOwned>(answer: Result<T, Bollard>) -> Result<F, Bollard> {
    again(answer.map(Into::into))
}

/// The same, of a list.
pub(super) fn of_each<T: Into<F>, F: DeserializeOwned>(
    answer: Result<Vec<T>, Bollard>,
) -> Result<Vec<F>, Bollard> {
    again(answer.map(|listed| listed.into_iter().map(Into::into).collect()))
}

fn again<F: DeserializeOwned>(answer: Result<F, Bollard>) -> Result<F, Bollard> {
    match answer {
        Err(Bollard::JsonDataError { message, contents, column }) => {
            let refused = |_| Bollard::JsonDataError { message, contents: String::new(), column };
            serde_json::from_str(&contents).map_err(refused)
        }
        answer => answer,
    }
}

/// Nothing where it is of another type than we know.
fn if_understood<'de, D: Deserializer<'de>, T: DeserializeOwned>(field: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(field)?).ok())
}

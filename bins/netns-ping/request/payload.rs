//! What a datagram holds: few programs answer one that says nothing to them. Pure.

/// What is sent to a UDP port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// What the user gave, or nothing.
    Given(Vec<u8>),
    /// A question for the name servers of the root (RFC 1035), which every name server answers, if only to refuse it.
    Dns,
    /// A client's request for the time (RFC 5905).
    Ntp,
}

/// What suits the port.
pub fn usual_payload(port: u16) -> Payload {
    match port {
        53 => Payload::Dns,
        123 => Payload::Ntp,
        _ => Payload::Given(Vec::new()),
    }
}

impl Payload {
    /// The bytes, with this random number in them.
    pub fn bytes(&self, [a, b]: [u8; 2]) -> Vec<u8> {
        match self {
            Payload::Given(data) => data.clone(),
            // Header: ID, recursion desired, one question; the root, NS, IN.
            Payload::Dns => vec![a, b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1],
            Payload::Ntp => {
                // Version 4, mode 3; the transmit timestamp at the end comes back.
                let mut request = vec![0x23];
                request.resize(46, 0);
                request.extend([a, b]);
                request
            }
        }
    }

    /// Whether an answer is one to this.
    pub fn is_answer(&self, data: &[u8]) -> bool {
        match self {
            Payload::Given(_) => true,
            // QR: a response.
            Payload::Dns => data.len() >= 12 && data[2] & 0x80 != 0,
            Payload::Ntp => data.len() >= 48 && data[0] & 7 == 4,
        }
    }

    /// What it is called.
    pub fn name(&self) -> String {
        match self {
            Payload::Given(data) => format!("{} bytes of data", data.len()),
            Payload::Dns => "a DNS query".to_owned(),
            Payload::Ntp => "an NTP request".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_get_what_suits_them() {
        assert_eq!(usual_payload(53).bytes([7, 8])[..2], [7, 8]);
        assert_eq!((usual_payload(53).bytes([0, 0]).len(), usual_payload(123).bytes([0, 0]).len()), (17, 48));
        assert_eq!(usual_payload(5432), Payload::Given(Vec::new()));
        let mut answer = usual_payload(53).bytes([7, 8]);
        assert!(!usual_payload(53).is_answer(&answer), "the query itself");
        answer[2] |= 0x80;
        assert!(usual_payload(53).is_answer(&answer) && !usual_payload(53).is_answer(b"SSH-2.0"));
    }
}

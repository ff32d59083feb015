//! Many addresses of one family, each with a number. Pure; a /8 takes no more room than a /30.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::netlink::Route;

/// From the first to the last, of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    pub is_ipv4: bool,
    pub first: u128,
    pub last: u128,
}

/// Blocks that do not overlap, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressSet {
    /// Each with the number of its first address.
    blocks: Vec<(u64, Block)>,
}

impl Block {
    pub fn new(first: IpAddr, last: IpAddr) -> Self {
        Block { is_ipv4: first.is_ipv4(), first: bits(first), last: bits(last) }
    }

    pub fn len(&self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }

    pub fn first_address(&self) -> IpAddr {
        self.address(self.first)
    }

    pub fn last_address(&self) -> IpAddr {
        self.address(self.last)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4 && (self.first..=self.last).contains(&bits(address))
    }

    fn address(&self, bits: u128) -> IpAddr {
        match self.is_ipv4 {
            true => Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX)).into(),
            false => Ipv6Addr::from_bits(bits).into(),
        }
    }

    /// Its parts, cut where a route begins or ends: all addresses of a part have the same route.
    pub fn parts(&self, routes: &[Route]) -> Vec<Block> {
        let mut cuts = vec![self.first];
        for route in routes.iter().filter(|route| route.destination.address().is_ipv4() == self.is_ipv4) {
            let network = route.destination.network();
            let behind = if self.is_ipv4 { 32 } else { 128 } - u32::from(network.prefix_len());
            let first = bits(network.address());
            let last = first | u128::MAX.checked_shr(128 - behind).unwrap_or(0);
            cuts.push(first);
            cuts.extend(last.checked_add(1));
        }
        cuts.retain(|cut| (self.first..=self.last).contains(cut));
        cuts.sort_unstable();
        cuts.dedup();
        let ends = cuts.iter().skip(1).map(|next| next - 1).chain([self.last]);
        cuts.iter().zip(ends).map(|(first, last)| Block { first: *first, last, ..*self }).collect()
    }
}

impl AddressSet {
    /// All in these blocks, each once.
    pub fn of(mut blocks: Vec<Block>) -> Self {
        blocks.sort_unstable();
        let mut apart: Vec<Block> = Vec::new();
        for block in blocks {
            match apart.last_mut() {
                Some(before) if before.is_ipv4 == block.is_ipv4 && block.first <= before.last => {
                    before.last = before.last.max(block.last);
                }
                _ => apart.push(block),
            }
        }
        let mut number = 0;
        let numbered = apart.into_iter().map(|block| {
            let at = number;
            number += u64::try_from(block.len()).unwrap_or(u64::MAX);
            (at, block)
        });
        AddressSet { blocks: numbered.collect() }
    }

    /// How many.
    pub fn len(&self) -> u64 {
        self.blocks.last().map_or(0, |(at, block)| at + u64::try_from(block.len()).unwrap_or(u64::MAX))
    }

    /// The one with this number.
    pub fn get(&self, number: u32) -> Option<IpAddr> {
        let number = u64::from(number);
        let after = self.blocks.partition_point(|(at, _)| *at <= number);
        let (at, block) = self.blocks.get(after.checked_sub(1)?)?;
        let bits = block.first + u128::from(number - at);
        (bits <= block.last).then(|| block.address(bits))
    }

    /// The number of this one.
    pub fn number_of(&self, address: IpAddr) -> Option<u32> {
        let (at, block) = self.blocks.iter().find(|(_, block)| block.contains(address))?;
        u32::try_from(u128::from(*at) + (bits(address) - block.first)).ok()
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(first: &str, last: &str) -> Block {
        Block::new(first.parse().unwrap(), last.parse().unwrap())
    }

    fn route(destination: &str) -> Route {
        Route::plain(destination.parse().unwrap(), 2)
    }

    fn shown(parts: Vec<Block>) -> Vec<String> {
        let one = |part: Block| format!("{}-{}", part.first_address(), part.last_address());
        parts.into_iter().map(one).collect()
    }

    #[test]
    fn a_block_is_cut_where_routes_begin_and_end() {
        let routes = ["0.0.0.0/0", "10.1.0.0/24", "10.1.0.7/32", "10.1.2.0/24", "fd00::/64"].map(route);
        assert_eq!(
            shown(block("10.1.0.1", "10.1.1.9").parts(&routes)),
            ["10.1.0.1-10.1.0.6", "10.1.0.7-10.1.0.7", "10.1.0.8-10.1.0.255", "10.1.1.0-10.1.1.9"]
        );
        assert_eq!(shown(block("0.0.0.0", "255.255.255.255").parts(&[route("0.0.0.0/0")])).len(), 1);
        assert_eq!(shown(block("fd00::1", "fd00::9").parts(&routes)), ["fd00::1-fd00::9"]);
    }

    #[test]
    fn addresses_that_were_typed_twice_are_there_once() {
        let all = AddressSet::of(vec![
            block("10.1.0.5", "10.1.0.9"),
            block("10.1.0.1", "10.1.0.6"),
            block("10.2.0.1", "10.2.0.2"),
        ]);
        assert_eq!(all.len(), 11);
        assert_eq!(all.get(9), "10.2.0.1".parse().ok());
        assert_eq!((all.get(11), all.number_of("10.1.0.10".parse().unwrap())), (None, None));
    }

    proptest! {
        #[test]
        fn each_number_is_that_of_its_address(
            blocks in prop::collection::vec((any::<u32>(), 0_u32..1000), 1..8),
            number in 0_u32..8000,
        ) {
            let blocks = blocks.into_iter().map(|(first, more)| Block {
                is_ipv4: true,
                first: first.into(),
                last: first.saturating_add(more).into(),
            });
            let all = AddressSet::of(blocks.collect());
            match all.get(number) {
                Some(address) => prop_assert_eq!(all.number_of(address), Some(number)),
                None => prop_assert!(u64::from(number) >= all.len()),
            }
        }

        #[test]
        fn parts_are_all_of_a_block(first: u32, last: u32, network: u32, length in 0_u8..=32) {
            let (first, last) = (first.min(last), first.max(last));
            let whole = Block { is_ipv4: true, first: first.into(), last: last.into() };
            let destination = common::cidr::Cidr::new(Ipv4Addr::from_bits(network).into(), length).unwrap();
            let parts = whole.parts(&[Route { destination, ..route("0.0.0.0/0") }]);
            prop_assert_eq!(parts.iter().map(Block::len).sum::<u128>(), whole.len());
        }
    }
}

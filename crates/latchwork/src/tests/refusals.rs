// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values that would be cut or ignored are refused.

use std::string::ToString;

use super::world::{Victim, World};
use crate::{
    Claim, Class, Doorbell, EdgeModel, EdgesError, HandlerSpec, InDispatch, Limits, LimitsError,
    PlatformDelivery, RegisterError, SpecError,
};

static IDLE: Victim = Victim::new(Claim::None);

const LOCAL: Doorbell = Doorbell::Local(4);
const CAP_US: u32 = Limits::BARE_METAL.cap_us;

fn late(late_us: u32, max_late_edges: u8) -> EdgeModel {
    EdgeModel::PerEvent { late_us, max_late_edges }
}

fn refusal(world: &World, class: Class, doorbell: Doorbell, edges: EdgeModel) -> RegisterError {
    let spec = HandlerSpec::new("it", class, doorbell, edges);
    world.nmi.register(&spec, &IDLE).unwrap_err()
}

#[test]
fn an_edge_model_that_grants_cannot_keep_to_is_refused() {
    let world = World::new();
    let most = EdgeModel::MOST_LATE_EDGES;
    let cases = [
        (Class::Local, late(10, most + 1), EdgesError::TooManyLateEdges { given: most + 1 }),
        (
            Class::Platform,
            late(CAP_US + 1, 1),
            EdgesError::LateBeyondCap { late_us: CAP_US + 1, cap_us: CAP_US },
        ),
        (
            Class::Unknown,
            late(10, 1),
            EdgesError::NeverGranted { class: Class::Unknown, doorbell: LOCAL },
        ),
    ];
    for (class, edges, error) in cases {
        assert_eq!(refusal(&world, class, LOCAL, edges), RegisterError::Edges(error));
    }
    let software = refusal(&world, Class::Local, Doorbell::Software, late(10, 1));
    let error = EdgesError::NeverGranted { class: Class::Local, doorbell: Doorbell::Software };
    assert_eq!(software, RegisterError::Edges(error));
    assert!(software.to_string().contains("PerCondition"), "{software}");
    let spec = HandlerSpec::new("it", Class::Platform, LOCAL, late(CAP_US, most));
    world.nmi.register(&spec, &IDLE).unwrap().remove().unwrap();
}

#[test]
fn the_same_where_it_is_changed_later() {
    let world = World::new();
    let spec = HandlerSpec::new("it", Class::Local, LOCAL, EdgeModel::PerCondition);
    let kept = world.nmi.register(&spec, &IDLE).unwrap();
    let refused = world.nmi.set_edge_model(kept.id(), late(CAP_US + 1, 1));
    let error = EdgesError::LateBeyondCap { late_us: CAP_US + 1, cap_us: CAP_US };
    assert_eq!(refused, Err(SpecError::Edges(error)));
    assert_eq!(world.nmi.set_edge_model(kept.id(), late(CAP_US, 1)), Ok(()));
    kept.remove().unwrap();
}

/// Only the edges of Platform handlers have a route.
#[test]
fn a_route_of_another_class_is_refused() {
    let world = World::new();
    for class in [Class::Local, Class::Unknown] {
        let spec = HandlerSpec::new("it", class, LOCAL, EdgeModel::PerCondition);
        for delivery in [PlatformDelivery::Bsp, PlatformDelivery::Cpus(&[0])] {
            let refused = world.nmi.register(&spec.delivery(delivery), &IDLE).unwrap_err();
            assert_eq!(refused, RegisterError::NotPlatform(class));
            assert!(refused.to_string().contains("name no route"), "{refused}");
        }
        let spec = spec.delivery(PlatformDelivery::All);
        world.nmi.register(&spec, &IDLE).unwrap().remove().unwrap();
    }
}

/// Its claims grant nothing, so it has no say in what the doorbell's edges are like.
#[test]
fn a_handler_of_last_resort_does_not_name_its_doorbells_edge_model() {
    let world = World::new();
    let message = HandlerSpec::new("message", Class::Local, LOCAL, late(10, 1));
    let resort = HandlerSpec::new("resort", Class::Unknown, LOCAL, EdgeModel::PerCondition);
    for (first, second) in [(message, resort), (resort, message)] {
        let kept = [&first, &second].map(|spec| world.nmi.register(spec, &IDLE).unwrap());
        kept.into_iter().for_each(|it| it.remove().unwrap());
    }
}

/// Nor may it change that of the others.
#[test]
fn a_handler_of_last_resort_does_not_change_its_doorbells_edge_model() {
    let world = World::new();
    let nmi = world.nmi;
    let message = HandlerSpec::new("message", Class::Local, LOCAL, late(10, 1));
    let resort = HandlerSpec::new("resort", Class::Unknown, LOCAL, EdgeModel::PerCondition);
    let kept = [message, resort].map(|spec| nmi.register(&spec, &IDLE).unwrap());
    let refused = nmi.set_edge_model(kept[1].id(), EdgeModel::PerCondition);
    let error = EdgesError::NeverGranted { class: Class::Unknown, doorbell: LOCAL };
    assert_eq!(refused, Err(SpecError::Edges(error)));
    let kept_to = nmi.core.registry.slot(Class::Local, 0).unwrap().doorbell.late_rings();
    assert_eq!(kept_to.count(), 1);
}

#[test]
fn a_cap_that_a_handlers_rings_outlast_is_refused() {
    let world = World::new();
    let nmi = world.nmi;
    let spec = HandlerSpec::new("firmware", Class::Platform, LOCAL, late(CAP_US, 1));
    let kept = nmi.register(&spec, &IDLE).unwrap();
    let shorter = Limits { cap_us: CAP_US - 1, hold_us: CAP_US - 1, ..Limits::BARE_METAL };
    let refused = nmi.set_limits(shorter).unwrap_err();
    let LimitsError::CapBelowHandler { handler, late_us } = refused else {
        panic!("{refused}");
    };
    assert_eq!((handler.as_str(), late_us), ("firmware", CAP_US));
    let _ = kept.try_remove();
    assert_eq!(nmi.set_limits(shorter), Ok(()), "it is gone");
    let error = EdgesError::LateBeyondCap { late_us: CAP_US, cap_us: CAP_US - 1 };
    assert_eq!(nmi.register(&spec, &IDLE).unwrap_err(), RegisterError::Edges(error));
}

#[test]
fn no_limit_is_zero() {
    let world = World::new();
    let ok = Limits::BARE_METAL;
    for (field, limits) in [
        ("late_us", Limits { late_us: 0, ..ok }),
        ("cap_us", Limits { cap_us: 0, ..ok }),
        ("tick_period_us", Limits { tick_period_us: 0, ..ok }),
        ("overdue_us", Limits { overdue_us: 0, ..ok }),
        ("hold_us", Limits { hold_us: 0, ..ok }),
        ("unknowns_per_100_ms", Limits { unknowns_per_100_ms: 0, ..ok }),
    ] {
        let refused = world.nmi.set_limits(limits);
        assert_eq!(refused, Err(LimitsError::Zero { field }));
    }
}

#[test]
fn a_send_cannot_hold_grants_for_longer_than_any_may_last() {
    let world = World::new();
    let limits = Limits { hold_us: CAP_US + 1, ..Limits::BARE_METAL };
    assert_eq!(world.nmi.set_limits(limits), Err(LimitsError::HoldBeyondCap));
}

/// They are set under a lock that this very CPU may hold.
#[test]
fn limits_are_not_set_in_an_nmi() {
    let world = World::new();
    let area = &world.nmi.core.cpus()[0];
    area.own.set_nmis_in_progress(1);
    let refused = world.nmi.set_limits(Limits::HYPERVISOR);
    assert_eq!(refused, Err(LimitsError::InDispatch(InDispatch { cpu: 0 })));
    area.own.set_nmis_in_progress(0);
    assert_eq!(world.nmi.set_limits(Limits::HYPERVISOR), Ok(()));
}

/// An error says what to do, after a colon.
#[test]
fn an_error_of_a_setting_says_what_to_do() {
    let class = Class::Local;
    let name = crate::Name::copy_of("it").unwrap();
    let edges = [
        EdgesError::TooManyLateEdges { given: 63 },
        EdgesError::LateBeyondCap { late_us: 2, cap_us: 1 },
        EdgesError::NeverGranted { class, doorbell: LOCAL },
    ];
    let limits = [
        LimitsError::InDispatch(InDispatch { cpu: 0 }),
        LimitsError::Zero { field: "cap_us" },
        LimitsError::LateBeyondCap,
        LimitsError::HoldBeyondCap,
        LimitsError::CapBelowHandler { handler: name, late_us: 1 },
        LimitsError::OverdueTooSoon,
        LimitsError::TooLong { longest_us: 1 },
    ];
    let register = [
        RegisterError::NotInitialised,
        RegisterError::EdgeModelConflict { doorbell: LOCAL, with: name, draining: false },
        RegisterError::EdgeModelConflict { doorbell: LOCAL, with: name, draining: true },
        RegisterError::NotPlatform(class),
        RegisterError::AlreadyRegistered,
        RegisterError::NoSuchCpu { cpu: 9 },
    ];
    let spec = [SpecError::NotPlatform(class), SpecError::NoSuchCpu { cpu: 9 }];
    let words = edges.map(|it| it.to_string()).into_iter();
    let words = words.chain(limits.map(|it| it.to_string()));
    let words = words.chain(register.map(|it| it.to_string()));
    for words in words.chain(spec.map(|it| it.to_string())) {
        let advice = words.split_once(": ").map_or("", |(_, advice)| advice);
        assert!(advice.len() >= 9, "{words}");
    }
}

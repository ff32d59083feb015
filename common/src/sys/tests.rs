//! Each call does to this process, or to a child of it, what it says.

use std::fs::File;
use std::os::fd::{AsFd, IntoRawFd};
use std::process::Command;

use nix::sys::signal::SigmaskHow;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Uid, geteuid};

use super::*;

fn own(kind: &str) -> File {
    File::open(format!("/proc/self/ns/{kind}")).unwrap()
}

/// How a child ends that does this.
fn child(what: impl FnOnce()) -> WaitStatus {
    // SAFETY: the child makes system calls, takes no lock, and ends.
    match unsafe { nix::unistd::fork() }.unwrap() {
        ForkResult::Child => {
            what();
            // SAFETY: the call touches no memory, and does not return.
            unsafe { libc::_exit(7) }
        }
        ForkResult::Parent { child } => waitpid(child, None).unwrap(),
    }
}

#[test]
fn a_namespace_says_its_type_its_owner_and_whose_that_is() {
    assert_eq!(namespace_type(own("net").as_fd()), Ok(nix::sched::CloneFlags::CLONE_NEWNET));
    assert_eq!(namespace_type(File::open("/proc").unwrap().as_fd()), Err(Errno::ENOTTY));
    // EPERM: it is owned by one that is outside of ours.
    match namespace_owner(own("net").as_fd()) {
        Ok(owner) => {
            assert_eq!(namespace_type(owner.as_fd()), Ok(nix::sched::CloneFlags::CLONE_NEWUSER));
            assert!(namespace_owner_uid(owner.as_fd()).is_ok());
        }
        Err(errno) => assert_eq!(errno, Errno::EPERM),
    }
    // There is none above, or it is hidden; another kind has none at all.
    assert!(matches!(namespace_parent(own("user").as_fd()), Ok(_) | Err(Errno::EPERM)));
    assert_eq!(namespace_parent(own("net").as_fd()).err(), Some(Errno::EINVAL));
    assert_eq!(namespace_owner_uid(own("net").as_fd()), Err(Errno::EINVAL));
    assert!(namespace_owner_uid(own("user").as_fd()).map(Uid::from_raw).is_ok());
}

#[test]
fn a_handle_of_a_namespace_opens_it_again_where_the_kernel_has_handles() {
    match namespace_handle(own("net").as_fd()) {
        Ok(id) => match open_namespace_by_handle(id) {
            Ok(same) => {
                let inode = |stat: nix::Result<nix::sys::stat::FileStat>| stat.unwrap().st_ino;
                assert_eq!(inode(nix::sys::stat::fstat(&same)), inode(nix::sys::stat::fstat(own("net"))));
            }
            Err(errno) => assert_eq!(errno, Errno::ESTALE),
        },
        Err(errno) => assert_eq!(errno, Errno::EOPNOTSUPP),
    }
    assert!(open_namespace_by_handle([0xff; 16]).is_err());
}

#[test]
fn a_socket_tells_its_network_namespace_to_whoever_administers_that() {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None).unwrap();
    match socket_namespace(socket.as_fd()) {
        Ok(netns) => assert_eq!(namespace_type(netns.as_fd()), Ok(nix::sched::CloneFlags::CLONE_NEWNET)),
        Err(errno) => assert_eq!(errno, Errno::EPERM),
    }
}

#[test]
fn signal_0_asks_a_pidfd_whether_its_process_is_there() {
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&sleeper);
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    assert_eq!(pidfd_send_signal(pidfd.as_fd(), 0), Ok(()));
    assert_eq!(pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL), Ok(()));
    sleeper.wait().unwrap();
    assert_eq!(pidfd_send_signal(pidfd.as_fd(), 0), Err(Errno::ESRCH));
}

#[test]
fn a_signal_ends_the_process_as_it_was_told() {
    let killed =
        |signal| move |status| matches!(status, WaitStatus::Signaled(_, found, _) if found == signal);
    let raised = child(|| {
        let _ = default_action(Signal::SIGTERM);
        let _ = raise(libc::SIGTERM);
    });
    assert!(killed(Signal::SIGTERM)(raised), "{raised:?}");
    let by_number = child(|| {
        let _ = default_action_of(libc::SIGUSR1);
        let _ = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
        let _ = raise(libc::SIGUSR1);
        let _ = unblock(libc::SIGUSR1);
    });
    assert!(killed(Signal::SIGUSR1)(by_number), "{by_number:?}");
    let quiet = child(|| {
        let _ = exit_on(Signal::SIGTERM);
        let _ = raise(libc::SIGTERM);
    });
    assert!(matches!(quiet, WaitStatus::Exited(_, 0)), "{quiet:?}");
    assert_eq!(exit_on(Signal::SIGKILL), Err(Errno::EINVAL));
    assert_eq!(unblock(1000), Err(Errno::EINVAL));
}

#[test]
fn descriptors_are_closed_on_exec_or_at_once() {
    let number = own("net").into_raw_fd();
    let ended = child(|| {
        // What is asserted in a child is its exit status.
        let as_made = is_close_on_exec(number) == Ok(true);
        let first = u32::try_from(number).unwrap_or(u32::MAX);
        let on_exec =
            matches!(close_range_on_exec(first, first), Ok(()) | Err(Errno::ENOSYS | Errno::EINVAL));
        let at_once = close_range(first, first).is_ok() && is_close_on_exec(number) == Err(Errno::EBADF);
        if as_made && on_exec && at_once {
            exit_at_once();
        }
    });
    assert!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
    let first = u32::try_from(number).unwrap();
    close_range(first, first).unwrap();
}

#[test]
fn a_netlink_socket_has_the_options_that_the_kernel_has() {
    let route = SockProtocol::NetlinkRoute;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, route).unwrap();
    assert_eq!(netlink_switch_on(socket.as_fd(), libc::NETLINK_EXT_ACK), Ok(()));
    assert_eq!(netlink_switch_on(socket.as_fd(), 1000), Err(Errno::ENOPROTOOPT));
}

#[test]
fn a_netlink_socket_is_of_a_part_that_the_kernel_has() {
    let fd = netlink_socket(libc::NETLINK_ROUTE).unwrap();
    assert_eq!(is_close_on_exec(fd.as_raw_fd()), Ok(true));
    assert_eq!(netlink_socket(1000).unwrap_err(), Errno::EPROTONOSUPPORT);
}

#[test]
fn many_datagrams_go_in_one_call_and_come_in_one_as_far_as_a_filter_lets_them() {
    let flags = SockFlag::SOCK_CLOEXEC;
    let udp = || socket(AddressFamily::Inet, SockType::Datagram, flags, None).unwrap();
    let (ours, theirs) = (udp(), udp());
    bind_to(theirs.as_fd(), "127.0.0.1:0".parse().unwrap()).unwrap();
    let theirs = std::net::UdpSocket::from(theirs);
    connect_to(ours.as_fd(), theirs.local_addr().unwrap()).unwrap();
    // linux/filter.h: what has eleven bytes, eight of which are UDP's own, is dropped; all else comes through.
    let program: [Instruction; 4] =
        [(0x80, 0, 0, 0), (0x15, 0, 1, 8 + 3), (0x06, 0, 0, 0), (0x06, 0, 0, u32::MAX)];
    attach_filter(theirs.as_fd(), &program).unwrap();
    assert_eq!(attach_filter(theirs.as_fd(), &[(0xffff, 0, 0, 0)]), Err(Errno::EINVAL));
    assert_eq!(send_many(ours.as_fd(), None, [b"a".as_slice(), b"abc", b"ab"]), Ok(3));
    let mut came = Vec::new();
    while came.len() < 2 {
        let mut waits = [nix::poll::PollFd::new(theirs.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut waits, 30_000_u16), Ok(1), "no datagram came: {came:?}");
        let mut buffers = [RecvBuffer::new(1), RecvBuffer::new(1), RecvBuffer::new(1)];
        let count = receive_many(theirs.as_fd(), &mut buffers, 0).unwrap();
        came.extend(buffers[..count].iter().map(|it| (it.data().to_vec(), it.is_cut(), it.from())));
    }
    let from = "127.0.0.1".parse().ok();
    assert_eq!(came, [(b"a".to_vec(), false, from), (b"a".to_vec(), true, from)]);
    assert_eq!(receive_many(theirs.as_fd(), &mut [RecvBuffer::new(1)], 0), Err(Errno::EAGAIN));
}

#[test]
fn a_time_of_day_has_hours_minutes_and_seconds() {
    let [hours, minutes, seconds] = local_time_of_day(12 * 3600 + 34 * 60 + 56);
    assert!(hours < 24 && minutes < 60 && seconds == 56, "{hours}:{minutes}:{seconds}");
}

#[test]
fn an_option_of_a_socket_is_read_as_it_was_set() {
    let udp = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
    set_option(udp.as_fd(), SocketOption::IP_TTL, &7_i32.to_ne_bytes()).unwrap();
    let mut bytes = [0; 4];
    assert_eq!(option(udp.as_fd(), SocketOption::IP_TTL, &mut bytes), Ok(4));
    assert_eq!(i32::from_ne_bytes(bytes), 7);
    assert_eq!(set_option(udp.as_fd(), SocketOption::IP_TTL, &300_i32.to_ne_bytes()), Err(Errno::EINVAL));
}

#[test]
fn a_connected_socket_tells_its_peers_process_where_the_kernel_can() {
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    match peer_pidfd(ours.as_fd()) {
        Ok(pidfd) => {
            let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
            let pid = format!("Pid:\t{}", std::process::id());
            assert!(about.lines().any(|line| line == pid), "{about}");
        }
        Err(errno) => assert_eq!(errno, Errno::ENOPROTOOPT),
    }
}

#[test]
fn network_namespaces_are_listed_where_the_kernel_has_lists() {
    match list_network_namespaces() {
        Ok(all) => assert!(!all.is_empty(), "our own is one of them"),
        // EPERM where a filter of system calls does not know it.
        Err(errno) => assert!(matches!(errno, Errno::ENOSYS | Errno::EPERM), "{errno}"),
    }
}

#[test]
fn a_packet_socket_is_bound_to_a_link_that_exists() {
    let flags = SockFlag::SOCK_CLOEXEC;
    match socket(AddressFamily::Packet, SockType::Datagram, flags, None) {
        Ok(socket) => {
            assert_eq!(packet_bind(socket.as_fd(), 1, 0), Ok(()));
            assert_eq!(packet_bind(socket.as_fd(), u32::MAX >> 1, 0), Err(Errno::ENODEV));
        }
        Err(errno) => assert!(errno == Errno::EPERM && !geteuid().is_root(), "{errno}"),
    }
}

#[test]
fn a_descriptor_comes_through_a_socket() {
    use nix::sys::socket::{ControlMessage, sendmsg, socketpair};
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let sent = own("net");
    let (words, beside) = ([std::io::IoSlice::new(b"x")], [sent.as_raw_fd()]);
    let beside = [ControlMessage::ScmRights(&beside)];
    sendmsg::<()>(theirs.as_raw_fd(), &words, &beside, MsgFlags::empty(), None).unwrap();
    let mut bytes = [0; 8];
    let (length, descriptors) = receive(ours.as_fd(), &mut [IoSliceMut::new(&mut bytes)]).unwrap();
    assert_eq!((length, descriptors.len()), (1, 1));
    assert_eq!(is_close_on_exec(descriptors[0].as_raw_fd()), Ok(true));
}

#[test]
fn the_kernel_says_as_what_this_program_was_executed() {
    let name = executed_as().unwrap();
    assert_eq!(std::path::Path::new(name).file_name(), std::env::current_exe().unwrap().file_name());
}

#[test]
fn attributes_of_a_mount_that_do_not_exist_are_refused() {
    let nothing = mount_setattr(own("net").as_fd(), &MountAttributes::default());
    assert_eq!(has_mount_setattr(), nothing != Err(Errno::ENOSYS));
    let unknown = MountAttributes { set: 1 << 40, ..MountAttributes::default() };
    let refused = mount_setattr(own("net").as_fd(), &unknown);
    assert!(matches!(refused, Err(Errno::EINVAL | Errno::EPERM | Errno::ENOSYS)), "{refused:?}");
}

#[test]
fn a_new_session_keyring_is_joined_where_the_kernel_has_keys() {
    let joined = child(|| {
        if matches!(new_session_keyring(), Ok(()) | Err(Errno::ENOSYS | Errno::EPERM | Errno::EDQUOT)) {
            exit_at_once();
        }
    });
    assert!(matches!(joined, WaitStatus::Exited(_, 0)), "{joined:?}");
}

/// Two instructions that let everything through: r0 = 0, and the end (linux/bpf.h).
fn loaded_program(kind: u32) -> Option<std::os::fd::OwnedFd> {
    let instructions: [u64; 2] = [0xb7, 0x95];
    let license = c"GPL";
    let mut attributes = [0_u64; 15];
    attributes[0] = u64::from(kind) | 2 << 32;
    attributes[1] = instructions.as_ptr() as u64;
    attributes[2] = license.as_ptr() as u64;
    // prog_name, at byte 48.
    attributes[6] = u64::from_le_bytes(*b"let_all\0");
    // SAFETY: the kernel reads the attributes, the instructions and the license, which outlive the call.
    unsafe {
        let fd = libc::syscall(libc::SYS_bpf, 5, attributes.as_mut_ptr(), size_of_val(&attributes));
        Errno::result(fd).ok().map(|fd| std::os::fd::FromRawFd::from_raw_fd(fd as i32))
    }
}

#[test]
fn a_program_that_is_attached_to_a_link_is_listed_with_its_name() {
    const SCHED_CLS: u32 = 3;
    const TCX_INGRESS: u32 = 46;
    const LO: u64 = 1;
    // In a network of its own, which ends with this thread.
    let test = || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).ok()?;
        let program = loaded_program(SCHED_CLS)?;
        let mut attributes = [0_u64; 8];
        attributes[0] = LO | u64::from(program.as_raw_fd().cast_unsigned()) << 32;
        attributes[1] = u64::from(TCX_INGRESS);
        // SAFETY: the kernel reads the attributes, which outlive the call. BPF_PROG_ATTACH.
        let attached =
            unsafe { libc::syscall(libc::SYS_bpf, 8, attributes.as_mut_ptr(), size_of_val(&attributes)) };
        Errno::result(attached).ok()?;
        Some((bpf_programs_of_link(LO as u32, TCX_INGRESS), bpf_programs_of_link(LO as u32, 47)))
    };
    // Neither a kernel without such programs nor an ordinary user can attach one.
    let Some((ingress, egress)) = std::thread::spawn(test).join().unwrap() else { return };
    assert_eq!(egress, Ok(vec![]));
    let ingress = ingress.unwrap();
    assert_eq!(ingress.len(), 1);
    // It can be gone with its network by now.
    assert!(matches!(bpf_program_name(ingress[0]).as_deref(), Ok(b"let_all") | Err(Errno::ENOENT)));
}

/// An ordinary user may not look into the kernel.
fn permitted<T>(asked: nix::Result<T>) -> Option<T> {
    match asked {
        Ok(had) => Some(had),
        Err(errno @ (Errno::EPERM | Errno::EACCES | Errno::ENOSYS | Errno::EINVAL))
            if !geteuid().is_root() =>
        {
            eprintln!("not permitted: {errno}");
            None
        }
        Err(errno) => panic!("{errno}"),
    }
}

#[test]
fn the_kernels_types_are_mapped_as_they_are_read() {
    match KernelTypes::map() {
        Ok(types) => assert!(*types == *std::fs::read("/sys/kernel/btf/vmlinux").unwrap()),
        Err(errno) => assert!(matches!(errno, Errno::ENODEV | Errno::ENOENT | Errno::EACCES), "{errno}"),
    }
}

/// An instruction of BPF: operation, registers, offset, number.
fn instruction(code: u8, to: u8, from: u8, offset: i16, number: i32) -> [u8; 8] {
    let [low, high] = offset.to_ne_bytes();
    let [a, b, c, d] = number.to_ne_bytes();
    [code, from << 4 | to, low, high, a, b, c, d]
}

/// At each system call of that number the program writes its number into the ring: sys_enter has it as its second word.
fn told_system_calls(ring: &EventRing, wanted: i32) -> Vec<[u8; 8]> {
    let ring = ring.as_fd().as_raw_fd();
    vec![
        instruction(0x79, 6, 1, 8, 0),
        instruction(0x55, 6, 0, 9, wanted),
        instruction(0x7b, 10, 6, -8, 0),
        instruction(0x18, 1, 1, 0, ring),
        instruction(0, 0, 0, 0, 0),
        instruction(0xbf, 2, 10, 0, 0),
        instruction(0x07, 2, 0, 0, -8),
        instruction(0xb7, 3, 0, 0, 8),
        instruction(0xb7, 4, 0, 0, 0),
        instruction(0x85, 0, 0, 0, 130),
        instruction(0xb7, 0, 0, 0, 0),
        instruction(0xb7, 0, 0, 0, 0),
        instruction(0x95, 0, 0, 0, 0),
    ]
}

#[test]
fn a_program_at_a_tracepoint_tells_through_its_ring_also_beyond_the_end_of_it() {
    const RING: u32 = 1 << 16;
    let Some(mut ring) = permitted(bpf_ring(RING)) else { return };
    let program = told_system_calls(&ring, libc::SYS_getsid as i32);
    let Some(attached) = permitted(BpfTracepoint::attach(c"sys_enter", c"sys_test", &program)) else {
        return;
    };
    let counted = count_bpf_run_time().unwrap();
    // Each takes 16 bytes with its header: the ring is filled three times.
    let (mut told, calls) = (0, 3 * RING / 16);
    for nth in 0..calls {
        let _ = nix::unistd::getsid(None);
        if nth % 1000 == 0 || nth + 1 == calls {
            ring.drain(|record| {
                assert_eq!(record, libc::SYS_getsid.to_ne_bytes());
                told += 1;
            });
        }
    }
    // Other processes may have called it, too.
    assert!(told >= calls, "{told} of {calls}");
    let time = attached.run_time().unwrap();
    assert!(time.runs >= calls.into() && time.nanoseconds > 0, "{time:?}");
    drop((attached, counted));
    // On another processor it may still be at the end of its last run.
    let is_silent = (0..100).any(|_| {
        ring.drain(|_| {});
        let _ = nix::unistd::getsid(None);
        let mut told = 0;
        ring.drain(|_| told += 1);
        told == 0
    });
    assert!(is_silent);
}

#[test]
fn what_is_not_taken_from_a_ring_stays_there() {
    let Some(mut ring) = permitted(bpf_ring(1 << 16)) else { return };
    let program = told_system_calls(&ring, libc::SYS_getsid as i32);
    let Some(attached) = permitted(BpfTracepoint::attach(c"sys_enter", c"sys_test", &program)) else {
        return;
    };
    for _ in 0..10 {
        let _ = nix::unistd::getsid(None);
    }
    drop(attached);
    let (mut taken, mut left) = (0, 0);
    ring.drain_while(|_| {
        taken += 1;
        taken < 3
    });
    ring.drain(|_| left += 1);
    assert!(taken == 3 && left >= 7, "{taken} and {left}");
}

#[test]
fn a_program_that_calls_more_than_it_may_is_not_loaded() {
    // BPF_FUNC_probe_write_user.
    let writes = [instruction(0x85, 0, 0, 0, 36), instruction(0x95, 0, 0, 0, 0)];
    assert_eq!(BpfTracepoint::attach(c"sys_enter", c"writes", &writes).unwrap_err(), Errno::EACCES);
    assert!(matches!(bpf_ring(4097).unwrap_err(), Errno::EINVAL | Errno::EPERM));
}

#[test]
fn a_tracepoint_is_told_by_perf_as_far_as_its_filter_says() {
    let id = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .into_iter()
        .find_map(|root| std::fs::read_to_string(format!("{root}/events/raw_syscalls/sys_enter/id")).ok());
    let Some(id) = id.and_then(|id| id.trim().parse().ok()) else { return };
    let filter = std::ffi::CString::new(format!("id == {}", libc::SYS_getsid)).unwrap();
    let processors = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    let opened = (0..processors).map(|processor| perf_tracepoint(id, processor, Some(&filter), 8)).collect();
    let Some(mut rings) = permitted::<Vec<_>>(opened) else { return };
    let mut told = 0;
    let calls = 5000;
    for nth in 0..calls {
        let _ = nix::unistd::getsid(None);
        if nth % 100 == 0 || nth + 1 == calls {
            let tid = nix::unistd::gettid().as_raw().to_ne_bytes();
            // struct perf_event_header with PERF_RECORD_SAMPLE; then PID and thread.
            rings.iter_mut().for_each(|ring| {
                ring.drain(|record| told += u32::from(record[..4] == [9, 0, 0, 0] && record[12..16] == tid));
            });
        }
    }
    assert_eq!(told, calls);
    rings.iter().for_each(|ring| perf_stop(ring.as_fd()).unwrap());
    let _ = nix::unistd::getsid(None);
    rings.iter_mut().for_each(|ring| ring.drain(|record| panic!("stopped, and tells: {record:?}")));
    assert_eq!(perf_tracepoint(id, 0, Some(c"nonsense == 1"), 8).unwrap_err(), Errno::EINVAL);
}

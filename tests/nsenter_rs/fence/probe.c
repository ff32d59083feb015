/* What code of a container tries in a program of the host: a library with a constructor, or a program. A line for each
 * attempt, "NAME ok" or "NAME ERRNO", and what the kernel says of the process. Where it succeeds nothing is changed that
 * outlives the program and its container: files are opened and not written, the clock is set to what it shows, what is
 * mounted is mounted in a private copy. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static FILE *out;

static void said(const char *name, long result)
{
	if (result < 0)
		fprintf(out, "%s %d\n", name, errno);
	else
		fprintf(out, "%s ok\n", name);
}

/* In a child: what changes the process must not change the program. */
static void tried(const char *name, long (*attempt)(void))
{
	int status;
	fflush(out);
	pid_t child = fork();
	if (child == 0) {
		errno = 0;
		long result = attempt();
		_exit(result < 0 ? errno : 0);
	}
	waitpid(child, &status, 0);
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	said(name, errno ? -1 : 0);
}

static long opened(const char *file, int flags)
{
	int fd = open(file, flags | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0)
		close(fd);
	return fd;
}

static const char *host(const char *path)
{
	static char buffer[4096];
	const char *root = getenv("HOST_ROOT");
	snprintf(buffer, sizeof buffer, "%s%s", root ? root : "/nonexistent", path);
	return buffer;
}

static long new_user_namespace(void) { return unshare(CLONE_NEWUSER); }
static long new_user_namespace_by_clone(void)
{
	long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (child == 0)
		_exit(0);
	return child;
}
static long clone3_user_namespace(void)
{
	unsigned long long args[11] = { CLONE_NEWUSER, 0, 0, 0, SIGCHLD };
	long child = syscall(435, args, 64);
	if (child == 0)
		_exit(0);
	return child;
}
static long new_mounts(void) { return unshare(CLONE_NEWNS); }
static long mounts(void) { return mount("x", "/proc", "tmpfs", 0, 0); }
static long remounts(void) { return mount(0, host("/usr"), 0, MS_REMOUNT | MS_BIND, 0); }
static long remounts_all(void) { return mount(0, host(""), 0, MS_REMOUNT | MS_BIND, 0); }
static long unmounts(void) { return umount2(host("/usr"), MNT_DETACH); }
static long keys(void) { return syscall(SYS_keyctl, 0, -3, 0); }
static long adds_key(void) { return syscall(SYS_add_key, "user", "probe", "x", 1, -3); }
static long bpfs(void)
{
	unsigned attr[32] = { 2, 4, 4, 1 };
	return syscall(SYS_bpf, 0, attr, sizeof attr);
}
static long io_urings(void)
{
	char parameters[120] = { 0 };
	return syscall(425, 1, parameters);
}
static long perfs(void)
{
	unsigned attr[32] = { 1, 128 };
	return syscall(SYS_perf_event_open, attr, 0, -1, -1, 0);
}
static long userfaults(void) { return syscall(SYS_userfaultfd, 0); }
static long handles(void)
{
	struct { struct file_handle handle; char bytes[128]; } found;
	int mount, fd = open(host("/usr"), O_RDONLY | O_DIRECTORY);
	found.handle.handle_bytes = 128;
	if (name_to_handle_at(AT_FDCWD, host("/usr"), &found.handle, &mount, 0) < 0)
		return -1;
	return open_by_handle_at(fd, &found.handle, O_RDONLY);
}
static long makes_disk(void)
{
	unlink("/dev/probe-disk");
	return mknod("/dev/probe-disk", S_IFBLK | 0600, makedev(254, 0));
}
static long opens_disk(void)
{
	long result = makes_disk() < 0 ? -1 : opened("/dev/probe-disk", O_RDONLY);
	int why = errno;
	unlink("/dev/probe-disk");
	errno = why;
	return result;
}
static long vsocks(void) { return socket(40, SOCK_STREAM, 0); }
static long algs(void) { return socket(38, SOCK_SEQPACKET, 0); }
static long raws(void) { return socket(AF_INET, SOCK_RAW, 1); }
static long packets(void) { return socket(AF_PACKET, SOCK_RAW, 0); }
static long sets_time(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return syscall(SYS_clock_settime, CLOCK_REALTIME, &now);
}
static long kernel_log(void) { return syscall(SYS_syslog, 3, (char[64]){ 0 }, 64); }
static long modules(void) { return syscall(SYS_finit_module, -1, "", 0) < 0 && errno == EBADF ? 0 : -1; }
static long hosts_name(void) { return sethostname("probe", 5); }
static long joins_first(void)
{
	int fd = open("/proc/1/ns/net", O_RDONLY);
	return fd < 0 ? -1 : setns(fd, 0);
}
static long raises_limit(void) { return setpriority(PRIO_PROCESS, 0, -20); }
static long gains_capabilities(void) { return prctl(PR_CAPBSET_READ, 21, 0, 0, 0) == 1 ? 0 : -1; }

/* RTM_DELLINK of an interface in the network namespace that ours knows by the number 0: the peer's. */
static long deletes_links(void)
{
	struct { struct nlmsghdr head; struct ifinfomsg link; char rest[64]; } ask = { 0 };
	char answer[4096];
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	struct rtattr *attr = (struct rtattr *)ask.rest;
	attr->rta_type = IFLA_TARGET_NETNSID;
	attr->rta_len = RTA_LENGTH(4);
	attr = (struct rtattr *)(ask.rest + 8);
	attr->rta_type = IFLA_IFNAME;
	attr->rta_len = RTA_LENGTH(10);
	memcpy(RTA_DATA(attr), "probe-none", 10);
	ask.head.nlmsg_len = NLMSG_LENGTH(sizeof ask.link) + 8 + RTA_SPACE(10);
	ask.head.nlmsg_type = RTM_DELLINK;
	ask.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	if (fd < 0 || send(fd, &ask, ask.head.nlmsg_len, 0) < 0 || recv(fd, answer, sizeof answer, 0) < 0)
		return -1;
	errno = -((struct nlmsgerr *)NLMSG_DATA((struct nlmsghdr *)answer))->error;
	/* There is no such link: it would have been deleted. */
	return errno == EPERM || errno == EINVAL ? -1 : 0;
}

/* Every descriptor: read again, emptied, and as a way to the host's files. */
static void descriptors(void)
{
	char name[64], path[96];
	for (int fd = 0; fd < 1024; fd++) {
		struct stat stat;
		if (fstat(fd, &stat) < 0 || fd == fileno(out))
			continue;
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		if (S_ISREG(stat.st_mode)) {
			snprintf(name, sizeof name, "fd%d-read-again", fd);
			said(name, opened(path, O_RDONLY));
			snprintf(name, sizeof name, "fd%d-write-again", fd);
			said(name, opened(path, O_WRONLY));
		} else if (S_ISDIR(stat.st_mode)) {
			snprintf(name, sizeof name, "fd%d-directory", fd);
			said(name, 0);
		} else if (S_ISBLK(stat.st_mode)) {
			snprintf(name, sizeof name, "fd%d-device", fd);
			said(name, 0);
		}
	}
}

static void status(void)
{
	char line[4096];
	FILE *file = fopen("/proc/self/status", "r");
	while (file && fgets(line, sizeof line, file))
		if (!strncmp(line, "Cap", 3) || !strncmp(line, "NoNewPrivs", 10) || !strncmp(line, "Seccomp:", 8))
			fprintf(out, "= %s", line);
	if (file)
		fclose(file);
	file = fopen("/proc/self/cgroup", "r");
	while (file && fgets(line, sizeof line, file))
		fprintf(out, "= cgroup %s", line);
	if (file)
		fclose(file);
	ssize_t length = readlink("/proc/self/ns/user", line, sizeof line - 1);
	if (length > 0)
		fprintf(out, "= user %.*s\n", (int)length, line);
	fprintf(out, "= Dumpable: %d\n", prctl(PR_GET_DUMPABLE));
}

static void probe(void)
{
	static const struct { const char *name; long (*attempt)(void); } all[] = {
		{ "new-user-namespace", new_user_namespace },
		{ "new-user-namespace-by-clone", new_user_namespace_by_clone },
		{ "new-user-namespace-by-clone3", clone3_user_namespace },
		{ "new-mounts", new_mounts },
		{ "mount", mounts },
		{ "remount-usr-writable", remounts },
		{ "remount-host-writable", remounts_all },
		{ "umount", unmounts },
		{ "keyctl", keys },
		{ "add-key", adds_key },
		{ "bpf", bpfs },
		{ "io-uring", io_urings },
		{ "perf", perfs },
		{ "userfaultfd", userfaults },
		{ "open-by-handle", handles },
		{ "open-disk", opens_disk },
		{ "vsock", vsocks },
		{ "alg", algs },
		{ "raw-socket", raws },
		{ "packet-socket", packets },
		{ "set-time", sets_time },
		{ "kernel-log", kernel_log },
		{ "module", modules },
		{ "host-name", hosts_name },
		{ "setns", joins_first },
		{ "priority", raises_limit },
		{ "sys-admin-in-bounding-set", gains_capabilities },
		{ "delete-link-beyond", deletes_links },
	};
	if (getenv("PROBED"))
		return;
	setenv("PROBED", "1", 1);
	out = fopen("/probed", "a");
	if (!out)
		return;
	status();
	descriptors();
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
		tried(all[i].name, all[i].attempt);
	said("read-shadow", opened(host("/etc/shadow"), O_RDONLY));
	said("read-passwd", opened(host("/etc/passwd"), O_RDONLY));
	said("read-root", opened(host("/root"), O_RDONLY | O_DIRECTORY));
	said("read-private-keys", opened(host("/etc/ssl/private"), O_RDONLY | O_DIRECTORY));
	said("write-usr", opened(host("/usr/share/zoneinfo/UTC"), O_WRONLY));
	said("write-etc", opened(host("/etc/services"), O_WRONLY));
	said("write-loader", opened(host("/../bin/.loader"), O_WRONLY));
	said("read-loader", opened(host("/../bin/.loader"), O_RDONLY));
	said("read-shim", opened(host("/../program"), O_RDONLY));
	said("run-dir", opened(host("/run"), O_RDONLY | O_DIRECTORY));
	fprintf(out, "= end\n");
	fclose(out);
	out = 0;
}

#ifdef LIBRARY
__attribute__((constructor)) static void loaded(void) { probe(); }
#else
int main(void)
{
	probe();
	return 0;
}
#endif

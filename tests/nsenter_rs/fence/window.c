/* Looks at every process that comes into its PID namespace, from the moment that it is there, until a line is read or a
 * minute is over: "all POWER", once, for one with capabilities that no container has; "open PATH" for what one has open of
 * the host's /proc; "wrote NAME" for one whose file could be opened for writing when it was over. "looked" after the first. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SYS_MODULE (1ULL << 16)
enum { AHEAD = 40, FILES = 64 };

static int looked, power, files[FILES], count;
static char names[FILES][64];

static void look(int pid)
{
	char path[64], text[4096], link[256];
	int from, length;
	unsigned long long caps = 0;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	if ((from = open(path, O_RDONLY)) < 0)
		return;
	length = read(from, text, sizeof text - 1);
	close(from);
	if (length <= 0)
		return;
	text[length] = 0;
	char *found = strstr(text, "CapPrm:\t");
	if (found)
		caps = strtoull(found + 8, 0, 16);
	if (!looked++)
		puts("looked");
	if (caps & SYS_MODULE && !power++)
		printf("all %llx %.40s\n", caps, strtok(text, "\n") + 6);
	for (int fd = 3; fd < 40; fd++) {
		snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
		length = readlink(path, link, sizeof link - 1);
		link[length > 0 ? length : 0] = 0;
		if (!strcmp(link, "/proc"))
			printf("open %s\n", link);
	}
	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	length = readlink(path, link, sizeof link - 1);
	link[length > 0 ? length : 0] = 0;
	char *name = strrchr(link, '/');
	if (name && strstr(name, "nsenter") && count < FILES && (from = open(path, O_PATH)) >= 0) {
		snprintf(names[count], sizeof names[count], "%s", name + 1);
		files[count++] = from;
	}
}

int main(void)
{
	struct pollfd told = { .fd = 0, .events = POLLIN };
	int base = getpid();
	time_t end = time(0) + 60;

	setvbuf(stdout, 0, _IOLBF, 0);
	puts("ready");
	while (time(0) < end && !poll(&told, 1, 0))
		for (int round = 0; round < 200; round++)
			for (int pid = base + 1, last = base + AHEAD; pid <= last; pid++)
				if (!kill(pid, 0)) {
					look(pid);
					if (pid > base + AHEAD / 2)
						base = pid - AHEAD / 4;
				}
	for (int file = 0; file < count; file++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/self/fd/%d", files[file]);
		/* Still running elsewhere it would be busy; nothing is written. */
		if (open(path, O_WRONLY) >= 0)
			printf("wrote %s\n", names[file]);
	}
	puts("end");
	return 0;
}

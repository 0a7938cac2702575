/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aril-dm: launches a User VM from the Linux in the Service VM and is its device model until it ends.
 *
 * Two threads: this one waits for requests and emulates them; the other reads the terminal, runs the timer, and takes
 * the signals.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "host.h"
#include "vm_run.h"

#define MEMORY_STEP (2UL << 20U)
/* A line that does not end, such as a prompt, is written after this time if lines are marked. */
#define FLUSH_NS     200000000UL
#define NAME_MAX_LEN 15U

static struct vm_run run;

static const char usage[] =
	"usage: aril-dm --name NAME --kernel FILE --memory SIZE [options]\n"
	"  --name NAME        the VM's name, 1 to 15 characters; the scenario's, or a new one\n"
	"  --kernel FILE      Linux bzImage, or multiboot1 ELF\n"
	"  --initrd FILE      initial RAM disk (ELF: a multiboot module; may be given 8 times)\n"
	"  --cmdline STRING   kernel command line\n"
	"  --memory SIZE      e.g. 128M; multiple of 2M, at least 8M\n"
	"  --cpus N           number of vCPUs (1), on the machine's last N CPUs\n"
	"  --affinity MASK    the physical CPUs to run on, one vCPU each (instead of --cpus); 0: as the scenario says\n"
	"  --polling          requests complete by polling instead of by notification\n"
	"  --no-reboot        a reboot of the guest ends the program with exit code 3\n"
	"  --debug-exit       a write to port 0xF4 ends the VM with that code\n"
	"  --console-prefix   mark each console line with the VM's name (default unless on a terminal)\n"
	"  --no-console-prefix\n"
	"  --input            read the console's input from standard input although lines are marked\n"
	"exit code: 0 power-off, 1 usage, 2 could not run, 3 reboot, 4 crash, 5 panic, 6 ended by a signal,\n"
	"           7 debug exit with a code other than 0\n";

static int usage_error(const char *what)
{
	fprintf(stderr, "aril-dm: %s\n%s", what, usage);
	return EXIT_USAGE;
}

enum option_id {
	OPT_NAME = 256,
	OPT_KERNEL,
	OPT_INITRD,
	OPT_CMDLINE,
	OPT_MEMORY,
	OPT_CPUS,
	OPT_AFFINITY,
	OPT_POLLING,
	OPT_NO_REBOOT,
	OPT_DEBUG_EXIT,
	OPT_PREFIX,
	OPT_NO_PREFIX,
	OPT_INPUT,
	OPT_HELP,
};

static const struct option long_options[] = {
	{"name", required_argument, NULL, OPT_NAME},
	{"kernel", required_argument, NULL, OPT_KERNEL},
	{"initrd", required_argument, NULL, OPT_INITRD},
	{"cmdline", required_argument, NULL, OPT_CMDLINE},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"cpus", required_argument, NULL, OPT_CPUS},
	{"affinity", required_argument, NULL, OPT_AFFINITY},
	{"polling", no_argument, NULL, OPT_POLLING},
	{"no-reboot", no_argument, NULL, OPT_NO_REBOOT},
	{"debug-exit", no_argument, NULL, OPT_DEBUG_EXIT},
	{"console-prefix", no_argument, NULL, OPT_PREFIX},
	{"no-console-prefix", no_argument, NULL, OPT_NO_PREFIX},
	{"input", no_argument, NULL, OPT_INPUT},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

/* The number of CPUs as an affinity: the last ones, which a scenario leaves to User VMs first. */
static uint64_t default_affinity(unsigned long cpus)
{
	uint32_t count = host_pcpu_count();
	uint64_t mask = 0UL;

	for (unsigned long i = 0; i < cpus; i++) {
		unsigned long pcpu = (count >= cpus) ? count - cpus + i : i;

		mask |= 1UL << (pcpu & 63U);
	}
	return mask;
}

static int add_module(const char *path)
{
	struct vm_image *im = &run.image;

	if (im->module_count == VM_IMAGE_MODULES_MAX) {
		return usage_error("too many --initrd");
	}
	if (host_file(path, &im->modules[im->module_count]) < 0) {
		return EXIT_HOST;
	}
	im->modules[im->module_count].string = path;
	im->module_count++;
	return 0;
}

static int take_option(int option, unsigned long *cpus)
{
	struct vm_options *o = &run.options;
	char *end = NULL;

	switch (option) {
	case OPT_NAME:
		o->name = optarg;
		return 0;
	case OPT_KERNEL:
		return (host_file(optarg, &run.image.kernel) < 0) ? EXIT_HOST : 0;
	case OPT_INITRD:
		return add_module(optarg);
	case OPT_CMDLINE:
		run.image.cmdline = optarg;
		return 0;
	case OPT_MEMORY:
		o->memory = host_parse_size(optarg);
		return (o->memory == 0UL) ? usage_error("--memory wants a number with K, M or G") : 0;
	case OPT_CPUS:
		*cpus = strtoul(optarg, NULL, 10);
		return (*cpus == 0UL || *cpus > VM_IMAGE_CPUS_MAX) ? usage_error("--cpus wants 1 to 16") : 0;
	case OPT_AFFINITY:
		o->affinity = strtoull(optarg, &end, 0);
		o->scenario_cpus = o->affinity == 0UL;
		return (*optarg == '\0' || *end != '\0') ? usage_error("--affinity wants a mask such as 0x2") : 0;
	case OPT_POLLING:
		o->polling = true;
		return 0;
	case OPT_NO_REBOOT:
		o->no_reboot = true;
		return 0;
	case OPT_DEBUG_EXIT:
		o->debug_exit = true;
		return 0;
	case OPT_PREFIX:
		o->prefix = true;
		return 0;
	case OPT_NO_PREFIX:
		o->prefix = false;
		return 0;
	case OPT_INPUT:
		o->input = true;
		return 0;
	default:
		return usage_error("unknown option");
	}
}

static int parse(int argc, char **argv)
{
	struct vm_options *o = &run.options;
	unsigned long cpus = 1UL;
	int option, ret = 0;

	o->prefix = isatty(STDOUT_FILENO) != 1;
	while (ret == 0 && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPT_HELP) {
			fputs(usage, stdout);
			exit(0);
		}
		ret = take_option(option, &cpus);
	}
	if (ret != 0) {
		return ret;
	}
	if (optind != argc || o->name == NULL || run.image.kernel.data == NULL || o->memory == 0UL) {
		return usage_error("--name, --kernel and --memory are needed, and nothing without --");
	}
	if (strlen(o->name) == 0U || strlen(o->name) > NAME_MAX_LEN) {
		return usage_error("--name is 1 to 15 characters");
	}
	if (o->memory % MEMORY_STEP != 0UL || o->memory < VM_IMAGE_RAM_MIN) {
		return usage_error("--memory is a multiple of 2M and at least 8M");
	}
	if (o->affinity == 0UL && !o->scenario_cpus) {
		o->affinity = default_affinity(cpus);
	}
	return 0;
}

static void nothing(int signo)
{
	(void)signo; /* only to end the ioctl that the other thread waits in */
}

static void stop_vm(void)
{
	atomic_store(&run.stop, true);
	(void)pthread_kill(run.request_thread, SIGUSR1);
}

/* One byte from the terminal to the guest. */
static void take_input(void)
{
	uint8_t byte = 0U;

	switch (term_get(&run.console, &byte)) {
	case TERM_BYTE:
		(void)dm_uart_receive(&run.vm, byte);
		break;
	case TERM_QUIT:
		stop_vm();
		break;
	case TERM_EOF:
		run.console.in = -1;
		break;
	case TERM_NOTHING:
		break;
	}
}

static void *io_thread(void *arg)
{
	int sigfd = *(int *)arg;
	uint64_t wait_ns = FLUSH_NS;

	while (!atomic_load(&run.finished)) {
		/* A full FIFO: leave the input where it is. */
		struct pollfd fds[3] = {{.fd = sigfd, .events = POLLIN}, {.fd = -1, .events = POLLIN},
			{.fd = run.wake_fd, .events = POLLIN}};
		struct timespec ts = {.tv_sec = 0, .tv_nsec = (long)wait_ns};
		struct signalfd_siginfo info;
		eventfd_t wakes;

		(void)pthread_mutex_lock(&run.lock);
		if (dm_uart_can_receive(&run.vm)) {
			fds[1].fd = run.console.in;
		}
		(void)pthread_mutex_unlock(&run.lock);
		(void)ppoll(fds, 3, &ts, NULL);
		if ((fds[0].revents & POLLIN) != 0 && read(sigfd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
			stop_vm();
		} else if (atomic_load(&run.stop)) {
			stop_vm(); /* it may have missed the signal between its check and its wait */
		}
		if ((fds[2].revents & POLLIN) != 0) {
			(void)eventfd_read(run.wake_fd, &wakes);
		}
		(void)pthread_mutex_lock(&run.lock);
		if (fds[1].revents != 0) {
			take_input();
		}
		term_flush(&run.console);
		wait_ns = (run.vm.end == DM_END_NONE) ? dm_vm_tick(&run.vm) : FLUSH_NS;
		(void)pthread_mutex_unlock(&run.lock);
		wait_ns = (wait_ns < FLUSH_NS) ? wait_ns : FLUSH_NS;
	}
	return NULL;
}

static int serve(void)
{
	pthread_t io;
	sigset_t set;
	int sigfd, ret;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigaction(SIGUSR1, &(struct sigaction){.sa_handler = nothing}, NULL);
	sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	run.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	run.request_thread = pthread_self();
	term_init(&run.console, run.options.name, run.options.prefix, run.options.input);
	if (sigfd < 0 || run.wake_fd < 0 || pthread_create(&io, NULL, io_thread, &sigfd) != 0) {
		fprintf(stderr, "aril-dm: %s\n", strerror(errno));
		term_restore(&run.console);
		return EXIT_HOST;
	}
	ret = vm_run_loop(&run);
	atomic_store(&run.finished, true);
	(void)pthread_join(io, NULL);
	term_restore(&run.console);
	if (ret == EXIT_SIGNAL) {
		fprintf(stderr, "aril-dm %s: ended from outside\n", run.options.name);
	}
	return ret;
}

int main(int argc, char **argv)
{
	int ret = parse(argc, argv);

	if (ret != 0) {
		return ret;
	}
	if (hsm_open(&run.hsm) < 0) {
		return EXIT_HOST;
	}
	ret = vm_run_setup(&run);
	if (ret == 0) {
		ret = serve();
	}
	hsm_close(&run.hsm);
	return ret;
}

/* One datagram to the socket that the service manager listens at: a path, or with "@" before it a
 * name without a file. */
#include "base/text.h"
#include "net/net.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int manager_address(const char *given, struct sockaddr_un *out, socklen_t *len,
			   struct err *e)
{
	size_t n = strlen(given);
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((*given != '/' && *given != '@') || n < 2 || n >= sizeof out->sun_path)
		return err_set(e, ERR_INPUT,
			       "NOTIFY_SOCKET=%.100s: expected a path, or @ and a name", given);
	memcpy(out->sun_path, given, n);
	if (*given == '@')
		out->sun_path[0] = 0;
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return 0;
}

int net_notify(const struct env *env, const char *state, struct err *e)
{
	const char *given = env_variable(env, "NOTIFY_SOCKET");
	struct sockaddr_un to;
	socklen_t len = 0;
	if (!given || !*given)
		return 0;
	TRY(manager_address(given, &to, &len, e));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, "tell the service manager");
	ssize_t sent =
		sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to, len);
	int rc = sent >= 0 ? 1
			   : err_set(e, ERR_UNAVAILABLE, "the service manager at %.100s: %s", given,
				     strerror(errno));
	close(fd);
	return rc;
}

uint64_t net_notify_watchdog_us(const struct env *env)
{
	const char *every = env_variable(env, "WATCHDOG_USEC");
	const char *whose = env_variable(env, "WATCHDOG_PID");
	uint64_t us = 0, pid = 0;
	if (!every || text_parse_u64(every, strlen(every), &us) < 0)
		return 0;
	/* A child that inherits the variables is not the one who is watched. */
	if (whose && *whose &&
	    (text_parse_u64(whose, strlen(whose), &pid) < 0 || pid != (uint64_t)getpid()))
		return 0;
	return us;
}

/*
 * disk_full.c
 *		Preloaded into a server, makes its file system full on demand: a write
 *		that would make a file longer fails with ENOSPC, exactly where the kernel
 *		would say so, and what fits into the file as it is goes through.
 *
 * The first byte of the file named by DISK_FULL_CONTROL says what is full:
 * 'b' the tables (base/), 'w' the write-ahead log (pg_wal/), 'a' both, anything
 * else nothing.  The file is mapped, so asking costs nothing and every process
 * sees a change at once.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile char *control;

__attribute__((constructor))
static void
find_control(void)
{
	const char *path = getenv("DISK_FULL_CONTROL");
	int			fd = path ? open(path, O_RDONLY) : -1;
	void	   *map;

	if (fd < 0)
		return;
	map = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		control = map;
}

/*
 * Is there no room for the file of fd up to "end"?
 */
static int
is_full(int fd, off_t end)
{
	char		what = control ? *control : '-';
	char		link[60];
	char		path[1024];
	ssize_t		len;
	struct stat st;

	if (what != 'b' && what != 'w' && what != 'a')
		return 0;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || end <= st.st_size)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return 0;
	path[len] = 0;
	return (what != 'w' && strstr(path, "/base/") != NULL) ||
		(what != 'b' && strstr(path, "/pg_wal/") != NULL);
}

static off_t
length(const struct iovec *iov, int n)
{
	off_t		sum = 0;

	for (int k = 0; k < n; k++)
		sum += iov[k].iov_len;
	return sum;
}

#define REAL(name) \
	static __typeof__(&name) real; \
	if (!real) \
		real = (__typeof__(real)) dlsym(RTLD_NEXT, #name)

#define REFUSE_IF_FULL(end) \
	if (is_full(fd, (end))) \
	{ \
		errno = ENOSPC; \
		return -1; \
	}

ssize_t
write(int fd, const void *buf, size_t n)
{
	REAL(write);
	REFUSE_IF_FULL(lseek(fd, 0, SEEK_CUR) + (off_t) n);
	return real(fd, buf, n);
}

ssize_t
pwrite(int fd, const void *buf, size_t n, off_t at)
{
	REAL(pwrite);
	REFUSE_IF_FULL(at + (off_t) n);
	return real(fd, buf, n, at);
}

ssize_t
pwrite64(int fd, const void *buf, size_t n, off64_t at)
{
	REAL(pwrite64);
	REFUSE_IF_FULL(at + (off_t) n);
	return real(fd, buf, n, at);
}

ssize_t
pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
	REAL(pwritev);
	REFUSE_IF_FULL(at + length(iov, n));
	return real(fd, iov, n, at);
}

ssize_t
pwritev64(int fd, const struct iovec *iov, int n, off64_t at)
{
	REAL(pwritev64);
	REFUSE_IF_FULL(at + length(iov, n));
	return real(fd, iov, n, at);
}

int
posix_fallocate(int fd, off_t at, off_t n)
{
	REAL(posix_fallocate);
	return is_full(fd, at + n) ? ENOSPC : real(fd, at, n);
}

int
posix_fallocate64(int fd, off64_t at, off64_t n)
{
	REAL(posix_fallocate64);
	return is_full(fd, at + n) ? ENOSPC : real(fd, at, n);
}

// The floor of the comparison: a loop of epoll, read and write that does as
// little as a WebSocket server can. It checks nothing, knows one topic, and
// coalesces nothing. Build: cc -O2 -o epoll epoll.c; run: epoll -addr host:port
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 1 << 16, MOST = 1 << 15 };

struct conn {
	int fd, topic, subscribed, have; // have: bytes of in
	unsigned char *in;               // what is not yet a whole frame; NULL while there is nothing
};

static struct conn *subscribers[MOST];
static int subscribed;
static unsigned char input[ROOM + 1], output[ROOM + 16];

static void die(const char *what) {
	perror(what);
	exit(1);
}

static uint32_t rol(uint32_t x, int n) { return x << n | x >> (32 - n); }

// sha1 of a message of less than 120 bytes.
static void sha1(const char *text, unsigned char out[20]) {
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	unsigned char m[128] = {0};
	size_t n = strlen(text), blocks = (n + 9 + 63) / 64;
	memcpy(m, text, n);
	m[n] = 0x80;
	for (int i = 0; i < 8; i++) m[blocks * 64 - 1 - i] = (unsigned char)((uint64_t)n * 8 >> (8 * i));
	for (size_t b = 0; b < blocks; b++) {
		uint32_t w[80], v[5];
		for (int i = 0; i < 16; i++) w[i] = (uint32_t)m[b * 64 + i * 4] << 24 | m[b * 64 + i * 4 + 1] << 16 | m[b * 64 + i * 4 + 2] << 8 | m[b * 64 + i * 4 + 3];
		for (int i = 16; i < 80; i++) w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
		memcpy(v, h, sizeof v);
		for (int i = 0; i < 80; i++) {
			uint32_t f, k;
			if (i < 20) f = (v[1] & v[2]) | (~v[1] & v[3]), k = 0x5a827999;
			else if (i < 40) f = v[1] ^ v[2] ^ v[3], k = 0x6ed9eba1;
			else if (i < 60) f = (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]), k = 0x8f1bbcdc;
			else f = v[1] ^ v[2] ^ v[3], k = 0xca62c1d6;
			uint32_t t = rol(v[0], 5) + f + v[4] + k + w[i];
			v[4] = v[3], v[3] = v[2], v[2] = rol(v[1], 30), v[1] = v[0], v[0] = t;
		}
		for (int i = 0; i < 5; i++) h[i] += v[i];
	}
	for (int i = 0; i < 20; i++) out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void send_all(int fd, const unsigned char *p, size_t n) {
	if (write(fd, p, n) != (ssize_t)n && errno != EPIPE && errno != ECONNRESET) die("a client does not read");
}

// frame puts a text frame into output and returns its length.
static size_t frame(const char *before, const unsigned char *p, size_t n, const char *after) {
	size_t len = strlen(before) + n + strlen(after), head = len < 126 ? 2 : 4;
	output[0] = 0x81;
	if (head == 2) output[1] = (unsigned char)len;
	else output[1] = 126, output[2] = (unsigned char)(len >> 8), output[3] = (unsigned char)len;
	memcpy(output + head, before, strlen(before));
	memcpy(output + head + strlen(before), p, n);
	memcpy(output + head + strlen(before) + n, after, strlen(after));
	return head + len;
}

static void message(struct conn *c, unsigned char *p, size_t n) {
	unsigned char *at;
	if (!c->topic) {
		send_all(c->fd, output, frame("", p, n, ""));
	} else if ((at = memmem(p, n, "\"payload\":", 10))) {
		size_t len = frame("{\"topic\":\"bench\",\"data\":", at + 10, n - (size_t)(at + 10 - p) - 1, "}");
		for (int i = 0; i < subscribed; i++) send_all(subscribers[i]->fd, output, len);
		send_all(c->fd, output, frame("{\"action\":\"pub\"}", p, 0, ""));
	} else {
		if (!c->subscribed && subscribed < MOST) subscribers[subscribed++] = c, c->subscribed = 1;
		send_all(c->fd, output, frame("{\"action\":\"join\"}", p, 0, ""));
	}
}

// handshake answers a request that has come in one piece.
static int handshake(struct conn *c, char *request) {
	static const char name[] = "Sec-WebSocket-Key: ", letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char key[128], accept[29], *at = strcasestr(request, name), *end;
	unsigned char sum[21] = {0};
	if (!at || !(end = strstr(at, "\r\n")) || end - at > 80) return -1;
	c->topic = !strncmp(request, "GET /topic", 10);
	snprintf(key, sizeof key, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)(end - at - (long)strlen(name)), at + strlen(name));
	sha1(key, sum);
	for (int i = 0; i < 7; i++) {
		uint32_t x = (uint32_t)sum[i * 3] << 16 | sum[i * 3 + 1] << 8 | sum[i * 3 + 2];
		for (int j = 0; j < 4; j++) accept[i * 4 + j] = letters[x >> (18 - 6 * j) & 63];
	}
	accept[27] = '=', accept[28] = 0;
	int n = snprintf((char *)output, ROOM, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
	send_all(c->fd, output, (size_t)n);
	return 0;
}

static void gone(struct conn *c) {
	for (int i = 0; c->subscribed && i < subscribed; i++)
		if (subscribers[i] == c) subscribers[i] = subscribers[--subscribed];
	close(c->fd);
	free(c->in);
	free(c);
}

// take works through what was read and returns how much of it is left.
static int take(struct conn *c, unsigned char *p, int n) {
	int from = 0;
	while (n - from >= 6) {
		unsigned char *f = p + from;
		int head = 6, len = f[1] & 127;
		if (len == 126) head = 8, len = f[2] << 8 | f[3];
		if (len == 127) return -1;
		if (n - from < head + len) break;
		if ((f[0] & 15) == 8) return -1;
		for (int i = 0; i < len; i++) f[head + i] ^= f[head - 4 + (i & 3)];
		if ((f[0] & 15) == 1) message(c, f + head, (size_t)len);
		from += head + len;
	}
	memmove(p, p + from, (size_t)(n - from));
	return n - from;
}

// ready reads once; it returns -1 when the connection is over.
static int ready(struct conn *c) {
	if (c->have > 0) memcpy(input, c->in, (size_t)c->have);
	ssize_t n = read(c->fd, input + (c->have > 0 ? c->have : 0), (size_t)(ROOM - (c->have > 0 ? c->have : 0)));
	if (n <= 0) return n < 0 && errno == EAGAIN ? 0 : -1;
	if (c->have < 0) { // not greeted yet
		input[n] = 0;
		c->have = 0;
		return handshake(c, (char *)input);
	}
	c->have = take(c, input, c->have + (int)n);
	if (c->have > 0) {
		if (!c->in && !(c->in = malloc(ROOM))) die("malloc");
		memcpy(c->in, input, (size_t)c->have);
	}
	return c->have < 0 ? -1 : 0;
}

int main(int argc, char **argv) {
	char *colon, *addr = argc == 3 && !strcmp(argv[1], "-addr") ? argv[2] : NULL;
	if (!addr || !(colon = strrchr(addr, ':'))) {
		fprintf(stderr, "usage: epoll -addr host:port\n");
		return 2;
	}
	*colon = 0;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1)), .sin_addr.s_addr = inet_addr(addr)};
	int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), set = epoll_create1(0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096)) die(addr);
	struct epoll_event e = {.events = EPOLLIN}, events[256];
	if (epoll_ctl(set, EPOLL_CTL_ADD, listener, &e)) die("epoll_ctl");
	for (;;) {
		int n = epoll_wait(set, events, 256, -1);
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			if (c) {
				if (ready(c) < 0) gone(c);
				continue;
			}
			for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
				if (!(c = calloc(1, sizeof *c))) die("calloc");
				c->fd = fd, c->have = -1;
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
				e.data.ptr = c;
				if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &e)) die("epoll_ctl");
			}
		}
	}
}

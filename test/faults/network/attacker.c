/*
 * Everything that the test of networks does inside a network, in one static program that any image can hold.
 *   attacker run LINES     each line in a process of its own, all at once; what came of it is printed as `NUMBER WORDS`
 *   attacker serve PORTS   listens at TCP ports (both families), reads, and answers as a web server would
 *   attacker sniff         prints `MARKER ADDRESS` for each packet on any interface that has a marker (MRK and three digits)
 * Lines: `N tcp FAMILY HOST PORT HEX[|HEX]`, `N udp FAMILY HOST PORT HEX`, `N raw PROTOCOL HOST HEX`, `N frame INTERFACE HEX`, `N sh COMMAND`.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 1500
static const char ANSWER[] = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nreached\n";

static size_t unhex(const char *text, unsigned char *bytes, size_t size) {
    size_t length = 0;
    for (unsigned byte; length < size && sscanf(text, "%2x", &byte) == 1; text += 2) bytes[length++] = (unsigned char)byte;
    return length;
}

static socklen_t place_of(int family, const char *host, int port, struct sockaddr_storage *place) {
    memset(place, 0, sizeof *place);
    place->ss_family = (sa_family_t)family;
    if (family == AF_INET6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)place;
        v6->sin6_port = htons((uint16_t)port);
        return inet_pton(family, host, &v6->sin6_addr) == 1 ? sizeof *v6 : 0;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)place;
    v4->sin_port = htons((uint16_t)port);
    return inet_pton(family, host, &v4->sin_addr) == 1 ? sizeof *v4 : 0;
}

static void told(int number, const char *words) {
    printf("%d %s\n", number, words);
    fflush(stdout);
    _exit(0);
}

static void hear(int number, int fd) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char text[64] = "";
    if (poll(&ready, 1, WAIT_MS) <= 0) told(number, "silence");
    ssize_t length = recv(fd, text, sizeof text - 1, 0);
    if (length < 0) told(number, strerror(errno));
    text[strcspn(text, "\r\n")] = '\0';
    told(number, length == 0 ? "closed" : text);
}

static void attempt(int number, char *line) {
    static unsigned char bytes[65536];
    static char host[64], hex[131072], word[16];
    int port = 0, family = 4;
    if (sscanf(line, "%15s", word) != 1) told(number, "nothing");
    if (strcmp(word, "sh") == 0) told(number, system(line + 3) == 0 ? "done" : "failed");
    if (strcmp(word, "frame") == 0 && sscanf(line, "%*s %63s %131071s", host, hex) == 2) {
        struct sockaddr_ll place = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(host), .sll_halen = 6};
        int fd = socket(AF_PACKET, SOCK_RAW, 0);
        size_t length = unhex(hex, bytes, sizeof bytes);
        if (fd < 0) told(number, strerror(errno));
        told(number, sendto(fd, bytes, length, 0, (struct sockaddr *)&place, sizeof place) < 0 ? strerror(errno) : "sent");
    }
    struct sockaddr_storage place;
    if (strcmp(word, "raw") == 0 && sscanf(line, "%*s %d %63s %131071s", &port, host, hex) == 3) {
        int fd = socket(AF_INET, SOCK_RAW, port);
        socklen_t size = place_of(AF_INET, host, 0, &place);
        if (fd < 0) told(number, strerror(errno));
        told(number, sendto(fd, bytes, unhex(hex, bytes, sizeof bytes), 0, (struct sockaddr *)&place, size) < 0 ? strerror(errno) : "sent");
    }
    if (sscanf(line, "%*s %d %63s %d %131071s", &family, host, &port, hex) != 4) told(number, "not a line");
    socklen_t size = place_of(family == 6 ? AF_INET6 : AF_INET, host, port, &place);
    bool udp = strcmp(word, "udp") == 0;
    int fd = socket(place.ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
    if (connect(fd, (struct sockaddr *)&place, size) != 0 && errno != EINPROGRESS) told(number, strerror(errno));
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int failed = 0;
    socklen_t length = sizeof failed;
    if (poll(&ready, 1, WAIT_MS) <= 0) told(number, "no connection");
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &length) != 0 || failed != 0) told(number, strerror(failed));
    for (char *piece = strtok(hex, "|"); piece != NULL; piece = strtok(NULL, "|")) {
        if (send(fd, bytes, unhex(piece, bytes, sizeof bytes), MSG_NOSIGNAL) < 0) told(number, strerror(errno));
        usleep(200000);
    }
    hear(number, fd);
}

static int run(char *lines) {
    for (char *line = strtok(lines, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        int used = 0, number = 0;
        if (sscanf(line, "%d %n", &number, &used) != 1) return 2;
        if (fork() == 0) attempt(number, line + used);
    }
    while (wait(NULL) > 0) continue;
    return 0;
}

static int serve(int count, char **ports) {
    for (int at = 0; at < count; at++) {
        int fd = socket(AF_INET6, SOCK_STREAM, 0), on = 1, off = 0;
        struct sockaddr_in6 place = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(ports[at]))};
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        if (bind(fd, (struct sockaddr *)&place, sizeof place) != 0 || listen(fd, 128) != 0) return perror("listen"), 1;
        if (fork() != 0) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int client; (client = accept(fd, NULL, NULL)) >= 0; close(client)) {
            if (fork() != 0) continue;
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            static char bytes[65536];
            while (recv(client, bytes, sizeof bytes, 0) > 0) send(client, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL);
            _exit(0);
        }
        _exit(0);
    }
    puts("up");
    fflush(stdout);
    while (wait(NULL) > 0) continue;
    return 0;
}

static int sniff(void) {
    static unsigned char frame[65536 + 1];
    int fd = socket(AF_PACKET, SOCK_RAW, htons(3));
    if (fd < 0) return perror("socket"), 1;
    puts("up");
    fflush(stdout);
    for (ssize_t length; (length = recv(fd, frame, sizeof frame - 1, 0)) >= 0;) {
        char address[INET6_ADDRSTRLEN] = "-";
        if (length >= 34 && frame[12] == 0x08 && frame[13] == 0x00) inet_ntop(AF_INET, frame + 30, address, sizeof address);
        if (length >= 54 && frame[12] == 0x86 && frame[13] == 0xdd) inet_ntop(AF_INET6, frame + 38, address, sizeof address);
        for (ssize_t at = 0; at + 6 <= length; at++) {
            if (strncasecmp((char *)frame + at, "MRK", 3) != 0) continue;
            printf("%.3s %s\n", (char *)frame + at + 3, address);
        }
        fflush(stdout);
    }
    return 1;
}

int main(int count, char **words) {
    if (count == 3 && strcmp(words[1], "run") == 0) return run(words[2]);
    if (count > 2 && strcmp(words[1], "serve") == 0) return serve(count - 2, words + 2);
    if (count == 2 && strcmp(words[1], "sniff") == 0) return sniff();
    return 2;
}

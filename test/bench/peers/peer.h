/*
 * What the parsers in C share: the corpus as a file (each message behind its length, four bytes, little endian), a loop
 * over it for so many milliseconds of CPU time, and one line of JSON at the end.
 */
#ifndef PEER_H
#define PEER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Reads one message and touches its values; answers something that depends on them, or -1 when it was not read. */
typedef long (*peer_reader)(char *text, size_t length, void *with);

static double peer_cpu(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int peer_run(int argc, char **argv, peer_reader read, void *with) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s corpus milliseconds\n", argv[0]);
    return 64;
  }
  FILE *file = fopen(argv[1], "rb");
  if (file == NULL) {
    perror(argv[1]);
    return 66;
  }
  size_t count = 0, room = 0, longest = 0;
  char **texts = NULL;
  size_t *lengths = NULL;
  unsigned char prefix[4];
  while (fread(prefix, 1, 4, file) == 4) {
    size_t length = prefix[0] | prefix[1] << 8 | prefix[2] << 16 | (size_t)prefix[3] << 24;
    if (count == room) {
      room = room == 0 ? 64 : room * 2;
      texts = realloc(texts, room * sizeof *texts);
      lengths = realloc(lengths, room * sizeof *lengths);
    }
    texts[count] = malloc(length + 1);
    if (fread(texts[count], 1, length, file) != length) return 65;
    texts[count][length] = '\0';
    lengths[count] = length;
    if (length > longest) longest = length;
    count += 1;
  }
  fclose(file);
  if (count == 0) return 65;

  /* Some parsers write into what they read, so each reads a copy, as it would read what a socket delivered. */
  char *copy = malloc(longest + 1);
  const double limit = atof(argv[2]) / 1e3;
  long sum = 0, done = 0;
  double start = 0, spent = 0;
  for (int round = -2; round < 0 || spent < limit; round += 1) {
    /* Two rounds to warm up. */
    if (round == 0) start = peer_cpu();
    for (size_t i = 0; i < count; i += 1) {
      memcpy(copy, texts[i], lengths[i] + 1);
      long got = read(copy, lengths[i], with);
      if (got < 0) {
        fprintf(stderr, "message %zu was not read:\n%s\n", i, texts[i]);
        return 65;
      }
      sum += got;
    }
    if (round >= 0) {
      done += (long)count;
      spent = peer_cpu() - start;
    }
  }
  printf("{\"rate\": %.1f, \"sum\": %ld}\n", (double)done / spent, sum);
  return 0;
}

#endif

#!/usr/bin/env bash
# A net for a microcontroller with 32 kB of flash to spare: grown under that budget, exported to one C file, compiled
# and asked, in 32-bit floats and then in 8 bits, where the same flash holds a larger net.
#
#   ./examples/digits_on_a_device.sh [folder] [key=value …]      keys are those of autogrow fit; INT8=true
#                                                                does the second half alone
#
# Needs autogrow and a C compiler (CC, else cc). For a board, give main.c and net.h to its own compiler instead.
set -euo pipefail

out=${1:-runs/digits_on_a_device}
autogrow="${PYTHON:-python} -m autogrow"

for int8 in ${INT8:-false true}; do
  folder=$out/$([ $int8 = true ] && echo int8 || echo float)
  mkdir -p "$folder"

  # the net grows as long as its C file stays within the budget; a growth that would not fit is refused, with the number
  $autogrow fit data=digits budget.flash_bytes=32768 budget.ram_bytes=2048 budget.int8=$int8 \
    hydra.run.dir="$folder/run" "${@:2}"

  # weights, preprocessing and net_predict() in net.h, proved by compiling it and asking it for every validation row
  $autogrow export "$folder/run" to=c int8=$int8 out="$folder"

  # a program around it: on a board, x comes from a sensor
  cat > "$folder/main.c" <<'C'
#include <stdio.h>
#include "net.h"

static const float digit[NET_INPUTS] = {
    0,  0,  5, 13,  9,  1,  0,  0,
    0,  0, 13, 15, 10, 15,  5,  0,
    0,  3, 15,  2,  0, 11,  8,  0,
    0,  4, 12,  0,  0,  8,  8,  0,
    0,  5,  8,  0,  0,  9,  8,  0,
    0,  4, 11,  0,  1, 12,  7,  0,
    0,  2, 14,  5, 10, 12,  0,  0,
    0,  0,  6, 13, 10,  0,  0,  0,
};

int main(void) {
    float p[NET_OUTPUTS];
    net_predict(digit, p);
    int best = 0;
    for (int j = 1; j < NET_OUTPUTS; j++)
        if (p[j] > p[best]) best = j;
    printf("it is a %d, with a probability of %.4f\n", best, (double)p[best]);
    return 0;
}
C
  ${CC:-cc} -std=c99 -Os -Wall -Wextra -Werror "$folder/main.c" -lm -o "$folder/main"
  "$folder/main"

  # and what it takes: the code and constants of net_predict alone (text), and its buffers (bss)
  ${CC:-cc} -std=c99 -Os -DNET_API= -x c -c "$folder/net.h" -o "$folder/net.o"
  size "$folder/net.o"
done

#!/bin/bash
# The GPU check compares every operation and prints its times, here on the host emulator; fails if a result
# differs, and runs what comes after it; and says in one line that there is no device.
set -eu
[ -z "${SANITIZER:-}" ] || { echo "skipped: the check is built without sanitizers"; exit 77; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export GPU_KERNELS=$BUILD/lib/libkernels.a
export GPU_ENGINE=$BUILD/gpu/engine
export GPU_PARITY=moe_gate # tests/kernels has them all
mkdir "$out/kept"
export HALLMARK_CUBLAS=$BUILD/emulator/libcublas.so
OUT=$out/kept HALLMARK_CUDA=$BUILD/emulator/libhallmark_cuda.so tests/gpu/run "$out" small >"$out/log" ||
	{ cat "$out/log"; exit 1; }
grep -q '^# host emulator' "$out/log"
grep -q '^| moe_gate | [0-9]* | 0 |.* ok |$' "$out/log"
[ "$(grep -c '^| moe_gate | .* tokens 1 |' "$out/log")" = 5 ] || { cat "$out/log"; exit 1; }
for format in bf16 fp8 q8 q4 mxfp4; do
	for by in fast cublas; do
		grep -q "^| product | 1 matrix, $format, rows 70, terms 1, $by |" "$out/log" ||
			{ cat "$out/log"; exit 1; }
	done
	grep -q "^product $format fast 70 \(auto\|cublas\)$" "$out/gpu/choice.txt" ||
		{ cat "$out/gpu/choice.txt"; exit 1; }
done
grep -q '^gpu-check: .* nothing failed$' "$out/log"
[ "$(grep -c '^| tests/vectors/oracles/qwen3_moe | .* | ok |$' "$out/log")" = 8 ] ||
	{ cat "$out/log"; exit 1; }
[ "$(grep -c '^| .*/deepseek_v2_lite | \(f32\|bf16\) | [a-z]* | ok |$' "$out/log")" = 8 ] ||
	{ cat "$out/log"; exit 1; }
grep -q '^| olmoe-fp8 | 1 | fp8 | canonical | kernel | decode | 1 | 4 |' "$out/log" ||
	{ cat "$out/log"; exit 1; }
grep -q '^| olmoe | 1 | q4 | canonical | kernel | prefill | 1 | 8 |' "$out/log" || { cat "$out/log"; exit 1; }
for context in 8 80; do
	for by in fast 'fast, cuBLAS'; do
		grep -q "^| .*/qwen3_moe | [0-9]* | [a-z0-9]* | $by | kernel | prefill | 1 | $context | .* [0-9]* % |$" \
			"$out/log" || { cat "$out/log"; exit 1; }
	done
done
python3 -m json.tool "$out/gpu/gpu-check.json" >/dev/null
for regime in cuda-fast/1 cuda-fast/1+cublas-99.1.2; do
	grep -qF "\"regime\": \"$regime\"" "$out/gpu/gpu-check.json"
done
cmp "$out/gpu/gpu-check.json" "$out/kept/gpu-check.json"

says() { # "words" command...: fails, with these words
	local words=$1
	shift
	if "$@" >"$out/log" 2>&1; then cat "$out/log"; echo "succeeded: $*"; exit 1; fi
	grep -q -- "$words" "$out/log" || { cat "$out/log"; echo "did not say: $words"; exit 1; }
}
sed 's/1e-20f/1e-2f/' kernels/moe_gate.cu >"$out/wrong.cu"
# shellcheck disable=SC2046
${CXX:-g++} -x c++ -std=c++17 -D_GNU_SOURCE -O1 -fPIC -shared -ffp-contract=off -I. -Itests/emulator \
	-o "$out/wrong.so" "$out/wrong.cu" -x none \
	"$BUILD"/obj/tests/emulator/{emulator,fibers,ptx,races,warpgroup}.cu.o \
	$(ls "$BUILD"/obj/kernels/*.cu.o | grep -v /moe_gate.cu.o)
export GPU_ENGINE=/nowhere # each section's failure is its own
HALLMARK_CUDA=$out/wrong.so says '^| moe_gate | [0-9]* | [1-9][0-9]* |.*WRONG' tests/gpu/run "$out" small
grep -q 'WRONG moe_gate: experts' "$out/log"
grep -q '^| moe_gate | .* tokens 1 |' "$out/log" || { echo "stopped at the first failure"; exit 1; }
GPU_SECONDS=0 HALLMARK_CUDA=$out/wrong.so says '^| parity | [0-9-]* seconds are left' \
	tests/gpu/run "$out" small
EMULATOR_NO_DEVICE=1 HALLMARK_CUDA=$BUILD/emulator/libhallmark_cuda.so \
	says 'no device found' tests/gpu/run "$out"
HALLMARK_CUDA=/nowhere says 'no device found: cannot read /nowhere' tests/gpu/run "$out"
[ -e /dev/nvidia0 ] || HALLMARK_CUDA='' says 'no device found: there is no /dev/nvidia' tests/gpu/run "$out"

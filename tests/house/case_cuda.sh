#!/bin/bash
# The compiler's witness accepts a kernel that keeps its header's promises and refuses one broken promise of
# each kind; with a compiler (make deps-cuda) on code that it makes here, a spill among it.
set -eu
[ -z "${SANITIZER:-}" ] || { echo "skipped: no code of the product runs here"; exit 77; }
top=$PWD
bin=
if nvcc=$(.ci/nvcc "$BUILD" 2>/dev/null); then bin=$(dirname "$nvcc"); fi
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
bench/cuda_bytes.py | cmp - bench/results/cuda-bytes.md
cd "$tree"
mkdir -p .ci kernels base bench/results facts bin
cp "$top"/.ci/{cuda,cuda-witness,nvcc} .ci/
touch base/err.h kernels/x.h

# ---- on facts as the compiler reports them ----

printf '#!/bin/sh\necho "Cuda compilation tools, release 13.0, V13.0.88"\n' >bin/nvcc
chmod +x bin/nvcc
source_with() { printf '/* A kernel.\n * Limits:  %s\n * Order:   none. */\n' "$1" >kernels/hot.cu; }
fact() { # registers shared stack spills wide mma local
	printf '{"90a":{"_Z3hotv":{"registers":%s,"shared":%s,"stack":%s,"spills":%s,"wide loads":%s,"mma":%s,' \
		"$1" "$2" "$3" "$4" "$5" "$6" >facts/hot.facts
	printf '"local":%s}}}\n' "$7" >>facts/hot.facts
}
witness() { PATH=$tree/bin:$PATH .ci/cuda-witness check facts kernels/hot.cu; }
keep_table() { witness >/dev/null 2>&1 || :; cp facts/compiler.md bench/results/cuda-compiler.md; }
accepts() { keep_table; witness >out || { cat out; echo "refused: $1"; exit 1; }; }
refuses() { # WHAT SENTENCE
	if witness >out 2>&1; then cat out; echo "accepted: $1"; exit 1; fi
	grep -q -- "$2" out || { cat out; echo "did not say \"$2\": $1"; exit 1; }
}
all="registers 128, shared 4096, threads 256, dynamic 65536, blocks 2, local 0, loads 16, mma yes"
source_with "$all"
fact 128 4096 0 0 5 7 0; accepts "what was promised"
grep -q '| hot.cu | `hot` | 128 | 4096 | 2 | 5 | 0 | 7 | 0 | 128 |' facts/compiler.md
fact 129 4096 0 0 5 7 0; refuses "a register more" "hot on sm_90a: 129 registers, the header says at most 128"
refuses "what does not fit" "1 blocks fit in a multiprocessor, the header says 2"
fact 128 4097 0 0 5 7 0; refuses "shared memory" "4097 shared, the header says at most 4096"
fact 128 4096 8 0 5 7 0; refuses "a stack" "local memory: stack 8"
fact 128 4096 0 4 5 7 0; refuses "a spill" "spills 4 bytes"
fact 128 4096 0 0 5 7 1; refuses "local memory" "1 accesses"
fact 128 4096 0 0 0 7 0; refuses "narrow loads" "no load of 16 bytes"
fact 128 4096 0 0 5 0 0; refuses "no matrix unit" "no matrix instruction"
source_with "local 0, loads bulk, mma wgmma"; fact 128 0 0 0 5 7 0
refuses "plain loads" "hot on sm_90a: no bulk copy"
sed -i 's/"local":0/"local":0,"UBLKCP":2/' facts/hot.facts
refuses "plain units" "no matrix instruction of warpgroups"
sed -i 's/"local":0/"local":0,"HGMMA":2/' facts/hot.facts; accepts "warpgroups"
source_with "registers 128"; fact 128 0 0 0 5 7 0
refuses "a promise without local" "no Limits line with local 0"
printf '/* A kernel. */\n' >kernels/hot.cu; refuses "no promise" "no Limits line"
printf '/* Two.\n * Limits:       local 0\n * Limits hot:   registers 9, local 0 */\n' >kernels/hot.cu
refuses "the promise of its name" "the header says at most 9"
source_with "stack 12"; fact 40 0 8 4 5 7 1; accepts "a stack that is known"
fact 40 0 8 8 5 7 1; refuses "more than is known" "spills 8 bytes"
source_with "local 90"; fact 40 0 8 4 5 7 1; refuses "a spill where none may be" "local memory: stack 8"
sed -i 's/90a/80/' facts/hot.facts; accepts "a spill elsewhere"
printf '/* Two.\n * Limits:       local 0\n * Limits hot<1, 2: registers 9, local 0 */\n' >kernels/hot.cu
sed -i 's/_Z3hotv/_Z3hotILi1ELi2EEvv/' facts/hot.facts; refuses "a template's" "hot<1, 2>.*at most 9"
source_with "local 0"; fact 40 0 0 0 5 7 0; accepts "few promises"
sed -i 's/| 40 |/| 41 |/' bench/results/cuda-compiler.md; refuses "a stale table" "cuda-compiler.md is stale"
sed -i 's/V13.0.88/V13.1.0/' bin/nvcc; witness | grep -q 'is not of nvcc 13.1.0: not compared'
export CI=true; refuses "CI with another compiler" "not compared"; unset CI

# ---- on code ----

[ -n "$bin" ] || { echo "no nvcc: the witness was tested on facts alone"; exit 0; }
mkdir -p out.d/cuda
export CUDA_ARCHITECTURES=90a PATH=$bin:$PATH
cat >kernels/hot.cu <<'END'
/* Reads as it promises.
 * Limits:  registers 64, local 0, loads 16 */
__global__ void hot(const float4 *in, float4 *out) { out[threadIdx.x] = in[threadIdx.x]; }
END
.ci/cuda out.d >out 2>&1 || grep -q ' 0 broken promises' out || { cat out; exit 1; }
cp out.d/cuda/compiler.md bench/results/cuda-compiler.md
.ci/cuda out.d >out 2>&1 || { cat out; exit 1; }
[ -f out.d/libhallmark_cuda.so ]
.ci/cuda out.d >out 2>&1
if grep -q ' of a processor$' out; then cat out; echo "compiled again what was compiled"; exit 1; fi
cat >kernels/hot.cu <<'END'
/* An array that no register holds.
 * Limits:  registers 64, local 0 */
__global__ void hot(const int *in, int *out)
{
	int kept[64];
	for (int i = 0; i < 64; i++)
		kept[i] = in[i];
	for (int i = 0; i < in[64]; i++)
		kept[in[i] & 63] += i;
	for (int i = 0; i < 64; i++)
		out[i] = kept[i];
}
END
if .ci/cuda out.d >out 2>&1; then echo "accepted: a local array"; exit 1; fi
grep -q 'hot on sm_90a: local memory: stack 256' out || { cat out; exit 1; }
sed -i 's/int kept/int unused, kept/' kernels/hot.cu
if .ci/cuda out.d >out 2>&1; then echo "accepted: a warning"; exit 1; fi
grep -q 'unused' out || { cat out; exit 1; }

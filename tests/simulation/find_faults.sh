#!/usr/bin/env bash
# Plants each fault of faults.txt, builds the simulation with it, and demands that it fails within some seeds.
#
#   find_faults.sh SOURCE_DIR BUILD_DIR [NAME_CONTAINS]
#
# BUILD_DIR is a Ninja build with the target anabranch_sim up to date. Only the faulty file is compiled, into a
# scratch folder, and linked in front of the libraries, so the sources and the build stay as they are.
set -euo pipefail

source_dir="$(realpath "$1")"
build_dir="$(realpath "$2")"
jobs="${JOBS:-2}"
only="${3:-}"
seeds="${SEEDS:-3000}"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
faults="$(realpath "$(dirname "$0")")/faults.txt"
cd "$build_dir"

ninja -t commands anabranch_sim >"$scratch/commands"
link="$(tail -n 1 "$scratch/commands")"

compile_command() { # object of a source file
    grep -F -- " -c $source_dir/$1" "$scratch/commands" | head -n 1
}

# Prints one line of outcome; returns 1 where the fault is not found.
try_fault() { # number, name, file, old, new, arguments
    local dir="$scratch/$1" text found command seed started=$SECONDS code=0
    mkdir -p "$dir"
    text="$(<"$source_dir/$3")"
    found=$(((${#text} - $(without="${text//"$4"/}"; echo ${#without})) / ${#4}))
    if ((found != 1)); then
        echo "FAIL  $2: its old text stands $found times in $3"
        return 1
    fi
    printf '%s\n' "${text/"$4"/"$5"}" >"$dir/faulty.cpp"
    command="$(compile_command "$3")"
    [[ -n $command ]] || { echo "FAIL  $2: $3 is not built"; return 1; }
    # Warnings of a fault are no news.
    command="$(sed -E "s| -o [^ ]+| -o $dir/faulty.o|; s| -M[DFT]( [^- ][^ ]*)?||g" <<<"$command")"
    command="${command/ -c $source_dir\/$3/ -w -Wno-error -O1 -g0 -c $dir/faulty.cpp}"
    if ! eval "$command" >"$dir/log" 2>&1; then
        echo "FAIL  $2: does not compile"
        cat "$dir/log"
        return 1
    fi
    command="$(sed -E "s| -o [^ ]*anabranch_sim| $dir/faulty.o -o $dir/sim|" <<<"$link")"
    if ! eval "$command" >"$dir/log" 2>&1; then
        echo "FAIL  $2: does not link"
        cat "$dir/log"
        return 1
    fi
    # shellcheck disable=SC2086 # several words, or none
    timeout 120 "$dir/sim" --seeds "$seeds" --jobs 1 $6 >"$dir/log" 2>&1 || code=$?
    rm -f "$dir/sim"
    if ((code == 0 || code == 124)); then
        echo "FAIL  $2: not found in $seeds histories (exit code $code)"
        return 1
    fi
    seed="$(sed -n 's/^FAILED at seed \([0-9]*\): \(.*\)/seed \1: \2/p' "$dir/log" | cut -c 1-130)"
    echo "found $2 ($((SECONDS - started)) s; ${seed:-exit code $code})"
}

number=0
failed=0
name="" file="" old="" new="" arguments=""
running=0
while IFS= read -r line || [[ -n $line ]]; do
    case "$line" in
        "name: "*) name="${line#name: }" arguments="" ;;
        "arguments: "*) arguments="${line#arguments: }" ;;
        "file: "*) file="${line#file: }" ;;
        "old: "*) old="${line#old: }" ;;
        "new: "*) new="${line#new: }" ;;
        "because: "*)
            [[ -z $only || $name == *"$only"* ]] || continue
            number=$((number + 1))
            if ((running == jobs)); then
                wait -n || failed=$((failed + 1))
                running=$((running - 1))
            fi
            try_fault "$number" "$name" "$file" "$old" "$new" "$arguments" &
            running=$((running + 1))
            ;;
    esac
done <"$faults"
while ((running > 0)); do
    wait -n || failed=$((failed + 1))
    running=$((running - 1))
done
echo "$((number - failed)) of $number faults found in $SECONDS s"
((failed == 0 && number > 0))

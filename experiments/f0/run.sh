#!/usr/bin/env bash
# F0 from mixtures: the published pipelines, the default, and the default with each part switched off.
# Takes about 40 minutes on two cores.
#   UMSS_MODELS=MODELS experiments/f0/run.sh CSD CHORALSYNTH
# CSD: folder with audio/soprano_1.flac ... and f0_mixtures; CHORALSYNTH: folder of its pieces;
# MODELS: folder with the weights of the published networks (see README).
# Truth is the F0 of the isolated stems, exact for the generated choir. One summary per method and
# data set lies in outputs/f0/DATA/METHOD; what is there already is not computed again, so remove the
# folder of what has changed. Ends with results.json and RESULTS.md, by table.py.
set -euo pipefail
csd=$1
choralsynth=$2
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
python=.venv/bin/python
work=outputs/f0

# Name of the result, and the override that switches one part of the default off.
switches=(
  "default-no_refinement multif0.assigner.refine=false multif0.retune=false"
  "default-no_retuning multif0.retune=false"
  "default-no_strength multif0.assigner.strength=false"
  "default-no_continuity multif0.assigner.continuity=false"
  "default-no_voicing multif0.assigner.voicing=false"
  "default-no_ranges multif0.assigner.ranges=false"
  "default-no_unisons multif0.assigner.unison=null"
)
pieces='[HempCW_JustJudge,I_am_the_bread,Hail_to_the_Chief_Leslie,India_Domine_prevenisti_eum]'
nino_dios=(data=csd "data.root=$csd" 'data.singers=[1,2,3]')
sample=(data=choralsynth "data.root=$choralsynth" "data.split.full.test=$pieces" max_seconds=60)

evaluate() { # data set, method, overrides
  local output=$work/$1/$2
  shift 2
  if [ -f "$output/summary.json" ]; then
    echo "$output: done already"
    return
  fi
  $python -m src.evaluate_f0 output="$output" "$@"
}
published_and_default() { # data set, J, overrides
  local data=$1 common=("n_singers=$2" "${@:3}")
  evaluate "$data" published multif0=published "${common[@]}"
  if [ "$2" = 4 ]; then # VOAS is made for four voices
    evaluate "$data" voas multif0=voas "${common[@]}"
  fi
  evaluate "$data" default multif0=default "${common[@]}"
}
parts_of_default() { # data set, J, overrides
  local data=$1 common=("n_singers=$2" "${@:3}") entry
  for entry in "${switches[@]}"; do
    # shellcheck disable=SC2086  # an entry may hold several overrides
    evaluate "$data" "${entry%% *}" multif0=default ${entry#* } "${common[@]}"
  done
}
# Tracks as their authors published them, beside our own run of their pipeline.
evaluate nino_dios-j4 cached multif0=cached n_singers=4 "${nino_dios[@]}"
published_and_default nino_dios-j4 4 "${nino_dios[@]}"
evaluate nino_dios-j4 cuesta multif0=cuesta n_singers=4 "${nino_dios[@]}"
parts_of_default nino_dios-j4 4 "${nino_dios[@]}"
evaluate nino_dios-j2 cached multif0=cached n_singers=2 max_mixtures=6 "${nino_dios[@]}"
published_and_default nino_dios-j2 2 max_mixtures=6 "${nino_dios[@]}"
published_and_default choralsynth-j4 4 "${sample[@]}"
parts_of_default choralsynth-j4 4 "${sample[@]}"
evaluate generated-j4 stems multif0=stems n_singers=4 data=generated
published_and_default generated-j4 4 data=generated
$python -m experiments.f0.table "$work"

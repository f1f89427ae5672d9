#!/usr/bin/env bash
# F0 from mixtures: the published pipelines, the default, and the default with each part switched off.
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
  "default-no_refinement ++multif0.assigner.refine=false"
  "default-no_strength ++multif0.assigner.strength=false"
  "default-no_continuity ++multif0.assigner.continuity=false"
  "default-no_voicing ++multif0.assigner.voicing=false"
  "default-no_ranges ++multif0.assigner.ranges=false"
  "default-no_unisons ++multif0.assigner.unison=null"
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
evaluate_all() { # data set, J, overrides
  local data=$1 n=$2
  shift 2
  local common=("n_singers=$n" "$@")
  evaluate "$data" published multif0=published "${common[@]}"
  if [ "$n" = 4 ]; then # VOAS is made for four voices
    evaluate "$data" voas multif0=voas "${common[@]}"
  fi
  evaluate "$data" default multif0=default "${common[@]}"
  local entry
  for entry in "${switches[@]}"; do
    evaluate "$data" "${entry%% *}" multif0=default "${entry#* }" "${common[@]}"
  done
}
for n in 4 2; do
  # The tracks as their authors published them, beside our own run of their pipeline.
  evaluate "nino_dios-j$n" cached multif0=cached "n_singers=$n" "${nino_dios[@]}"
  evaluate_all "nino_dios-j$n" "$n" "${nino_dios[@]}"
done
evaluate_all choralsynth-j4 4 "${sample[@]}"
evaluate generated-j4 stems multif0=stems n_singers=4 data=generated
evaluate_all generated-j4 4 data=generated
$python -m experiments.f0.table "$work"

#!/usr/bin/env bash
# Bounds, the comb, and a model trained for six minutes, on real singers of the Choral Singing Dataset.
#   experiments/nino_dios/run.sh DIR     (DIR: folder with audio/soprano_1.flac ... and f0_mixtures)
# The model learns from mixtures of singers 1 and 2 and is tested on singer 3. Song and room are the
# same; the last fifth of the song is for validation. Writes one summary per line of the table.
set -euo pipefail
root=$1
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
python=.venv/bin/python
work=outputs/nino_dios
evaluate() { # name, singers, J, seeds, further overrides
  local name=$1 singers=$2 n=$3 seeds=$4
  shift 4
  $python -m src.evaluate data=csd data.root="$root" "data.singers=$singers" n_singers="$n" \
    f0=cached "seeds=$seeds" output="$work/$name" overwrite=true "$@"
  cp "$work/$name/summary.json" "$here/$name.json"
}
all='[1,2,3]'
for n in 4 2; do
  evaluate "mixture-j$n" "$all" "$n" '[0]' separator=mixture
  for mask in magnitude power; do
    evaluate "comb-$mask-j$n" "$all" "$n" '[0]' separator=comb separator.mask=$mask
  done
  for mask in magnitude power phase_sensitive; do
    evaluate "oracle-$mask-j$n" "$all" "$n" '[0]' separator=oracle separator.mask=$mask
  done
done
for mask in magnitude power; do
  evaluate "comb-$mask-j4-singer3" '[3]' 4 '[0]' separator=comb separator.mask=$mask
done
$python -m src.train experiment=us_small data=csd data.root="$root" 'data.singers=[1,2]' \
  trainer=cpu trainer.max_time=00:00:06:00 output=$work/us_small overwrite=true
$python - "$work/us_small/csv/version_0/metrics.csv" "$here/us_small-losses.csv" <<'PYTHON'
import sys

import pandas as pd

losses = pd.read_csv(sys.argv[1]).groupby("epoch")[["train/loss", "val/loss"]].first()
losses.to_csv(sys.argv[2])
PYTHON
for mask in magnitude power; do
  evaluate "umss-$mask-j4-singer3" '[3]' 4 '[0,1]' separator=umss \
    separator.checkpoint=$work/us_small/checkpoints/best.ckpt separator.mask=$mask
done

#!/usr/bin/env bash
# Small rows of the grid at length: until 200 epochs bring nothing, or 8000 steps.
#   experiments/paper_grid/longer.sh CSD OUT [ROW ...]
# CSD: as for run.sh; OUT: folder of the trainings; ROW: one of those below, default all. A row takes
# one core and many hours; called again, it goes on where it was. STEPS=936 stops earlier, and the
# evaluation then says what so many steps give. Writes ROW-losses.csv, and ROW-best.json and
# ROW-last.json (singer 3, published F0, magnitude masks, three noise seeds) into longer/, and their
# means at these steps into longer/curve.csv.
set -euo pipefail
csd=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)/longer
cd "$(dirname "$0")/../.."
python=.venv/bin/python
export WANDB_MODE=offline OMP_NUM_THREADS=1
mkdir -p "$here"

row() { # name, experiment, J, F0 of training, kind of separator
  local name=$1 experiment=$2 n=$3 f0=$4 separator=$5 which
  $python -m src.train experiment="$experiment" data=csd data.root="$csd" 'data.singers=[1,2]' \
    data.f0="$f0" n_singers="$n" data.batch_size=8 trainer=cpu threads=1 trainer.max_steps="${STEPS:-8000}" \
    output="$out/$name"
  for which in best last; do
    $python -m src.evaluate separator="$separator" separator.mask=magnitude name="$name-$which" \
      separator.checkpoint="$out/$name/checkpoints/$which.ckpt" data=csd data.root="$csd" \
      'data.singers=[3]' n_singers="$n" f0=cached 'seeds=[0,1,2]' threads=1 \
      output="$out/evaluation/$name-$which" overwrite=true
    # Where the checkpoint lay says nothing to others.
    sed "s|$out/||g" "$out/evaluation/$name-$which/summary.json" > "$here/$name-$which.json"
  done
  $python -m experiments.paper_grid.collect_longer "$name" "$out/$name"
}

known=(us_small us_small-j2 sv_small unet_small paper_us_small paper_sv_small paper_unet_small)
for chosen in "${@:-${known[@]}}"; do
  case $chosen in
    us_small) row us_small us_small 4 cached umss ;;
    us_small-j2) row us_small-j2 us_small 2 cached umss ;;
    sv_small) row sv_small sv_small 4 cached umss ;;
    unet_small) row unet_small unet_small 4 cached unet ;;
    paper_us_small) row paper_us_small paper/us_small 4 estimated umss ;;
    paper_sv_small) row paper_sv_small paper/sv_small 4 estimated umss ;;
    paper_unet_small) row paper_unet_small paper/unet_small 4 estimated unet ;;
    *) echo "$chosen: no such row; choose from ${known[*]}" >&2; exit 2 ;;
  esac
done

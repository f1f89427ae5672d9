#!/usr/bin/env bash
# Small rows of the grid at length: until 200 epochs bring nothing, or 8000 steps.
#   experiments/paper_grid/longer.sh CSD OUT [ROW ...]
# CSD: as for run.sh; OUT: folder of the trainings; ROW: one of those below, default all. A row takes
# one core and many hours; called again, it goes on where it was. STEPS=936 stops earlier, and the
# evaluation then says what so many steps give; PATIENCE=1000 goes on where 200 epochs brought nothing.
# Writes ROW-losses.csv, and ROW-best.json and
# ROW-last.json (singer 3, published F0, magnitude masks, three noise seeds) into longer/, and their
# means at these steps into longer/curve.csv. f0_errors, of the trained rows: longer/f0_errors.csv.
# report: all rows evaluated so far beside the methods that learn nothing, longer/report.html, tables.
set -euo pipefail
csd=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)/longer
cd "$(dirname "$0")/../.."
python=.venv/bin/python
export WANDB_MODE=offline OMP_NUM_THREADS=1
mkdir -p "$here"
stems=(data=csd "data.root=$csd" 'data.singers=[1,2]') # in any combination

row() { # name, experiment, J, kind of separator, data
  local name=$1 experiment=$2 n=$3 separator=$4 which
  shift 4
  $python -m src.train experiment="$experiment" "$@" n_singers="$n" data.batch_size=8 \
    trainer=cpu threads=1 trainer.max_steps="${STEPS:-8000}" output="$out/$name" \
    callbacks.early_stopping.patience="${PATIENCE:-200}"
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

minutes() { # so many minutes of recordings, F0 estimated from them
  local folder="$out/minutes$1"
  if [ ! -e "$folder" ]; then
    $python -m experiments.shipped.mixtures "$csd" "$folder.part" --minutes "$1"
    mv "$folder.part" "$folder"
  fi
  row "us_small-$1min" us_small 4 umss data=mixtures data.root="$folder"
}

f0_errors() { # what wrong F0 costs the last weights of US and SV
  local name settings
  for name in us_small sv_small; do
    settings=(separator=umss separator.mask=magnitude name="$name" n_singers=4
      separator.checkpoint="$out/$name/checkpoints/last.ckpt" data=csd "data.root=$csd"
      'data.singers=[3]' f0=cached threads=1 overwrite=true)
    $python -m src.evaluate "${settings[@]}" 'seeds=[0]' output="$out/f0_errors/$name-none"
    $python -m src.evaluate -m +sweep=f0_errors "${settings[@]}" hydra.callbacks.sweep.then=null \
      skip_existing=false paths.grid_dir="$out"
  done
  $python -m src.report "tables=[$out/f0_errors/*]" output="$out/f0_errors_report" overwrite=true
  cp "$out/f0_errors_report/tables/j4_f0_errors.csv" "$here/f0_errors.csv"
}

report() { # rows evaluated so far, with their last weights, beside what learns nothing
  local method n settings
  for n in 4 2; do
    for method in mixture comb nmf1 nmf2 oracle; do
      settings=(separator="$method" name="$method" data=csd "data.root=$csd" 'data.singers=[3]'
        n_singers="$n" f0=cached threads=1 output="$out/evaluation/$method-j$n" skip_existing=true)
      if [ "$method" = nmf2 ]; then settings+=('seeds=[0]'); fi # slow
      $python -m src.evaluate "${settings[@]}"
    done
  done
  $python -m src.report "tables=[$out/evaluation/*-last,$out/evaluation/*-j4,$out/evaluation/*-j2]" \
    'title="The grid of the paper at length: Niño Dios, singer 3"' \
    output="$out/report" overwrite=true
  cp "$out/report/report.html" "$here"
  mkdir -p "$here/tables"
  cp "$out"/report/tables/*.csv "$here/tables"
}

known=(us_small us_small-j2 sv_small unet_small us_small-1min us_small-3min us_small-5min
  paper_us_small paper_sv_small paper_unet_small f0_errors report)
for chosen in "${@:-${known[@]}}"; do
  case $chosen in
    us_small) row us_small us_small 4 umss "${stems[@]}" data.f0=cached ;;
    us_small-j2) row us_small-j2 us_small 2 umss "${stems[@]}" data.f0=cached ;;
    sv_small) row sv_small sv_small 4 umss "${stems[@]}" data.f0=cached ;;
    unet_small) row unet_small unet_small 4 unet "${stems[@]}" data.f0=cached ;;
    us_small-[135]min) minutes "${chosen//[^0-9]/}" ;;
    paper_us_small) row paper_us_small paper/us_small 4 umss "${stems[@]}" data.f0=estimated ;;
    paper_sv_small) row paper_sv_small paper/sv_small 4 umss "${stems[@]}" data.f0=estimated ;;
    paper_unet_small) row paper_unet_small paper/unet_small 4 unet "${stems[@]}" data.f0=estimated ;;
    f0_errors | report) "$chosen" ;;
    *) echo "$chosen: no such row; choose from ${known[*]}" >&2; exit 2 ;;
  esac
done

#!/usr/bin/env bash
# The paper's grid on real singers: every method, J = 4 and J = 2, one evaluation, one report.
#   experiments/paper_grid/run.sh CSD CHORALSYNTH
# CSD: folder with audio/soprano_1.flac ... and f0_mixtures; CHORALSYNTH: folder of the pieces.
#   Test    Niño Dios d'amor herido (CSD), singer 3 of every voice, published F0 tracks
#   Small   the same song, singers 1 and 2 of every voice (its last fifth for validation)
#   Full    eleven pieces of ChoralSynth (25 min), two for validation; F0 estimated from the mixtures
# The training is short: 216 steps of batch 8 on Small, 148 on Full, on one CPU core each.
set -euo pipefail
csd=$1 choralsynth=$2
cd "$(dirname "$0")/../.."
python=.venv/bin/python
export WANDB_MODE=offline OMP_NUM_THREADS=1
common=(data.batch_size=8 trainer=cpu threads=1 hydra.callbacks.sweep.then=null)
small=(data=csd "data.root=$csd" 'data.singers=[1,2]' trainer.max_epochs=18)
songs=Hail_to_the_Chief_Leslie,Honour_and_majesty_are_before_him,Hunting_song_Macfarren_WC
songs+=,I_am_the_resurrection_Tomkins,I_know_whom_I_have_believed_MacFarren,I_will_recount
songs+=,If_I_had_but_two_little_wings_Parry,India_Circumdederunt_me,India_Deus_Deus_meus_respice
songs+=,India_Domine_Deus_vite_meae,India_Domine_prevenisti_eum
full=(data=choralsynth "data.root=$choralsynth" data.f0=estimated "data.split.full.train=[$songs]"
  trainer.max_epochs=2)
$python -m src.train -m +sweep=paper experiment=us_small,sv_small "${small[@]}" "${common[@]}"
$python -m src.train -m +sweep=paper experiment=us_full,sv_full "${full[@]}" "${common[@]}"
$python -m src.train -m +sweep=paper experiment=unet_small "${small[@]}" "${common[@]}" \
  trainer.precision=bf16-mixed
$python -m src.train -m +sweep=paper experiment=unet_full "${full[@]}" "${common[@]}" \
  trainer.precision=bf16-mixed
test=(data=csd "data.root=$csd" 'data.singers=[3]' f0=cached hydra.callbacks.sweep.then=null)
methods=us_full,us_small,sv_full,sv_small,unet_full,unet_small,nmf1,comb,hpss_comb,oracle,mixture
$python -m src.evaluate -m +sweep=paper_evaluation "${test[@]}" bss=fast method=$methods
# Three seeds instead of five: NMF2 is slow.
$python -m src.evaluate -m +sweep=paper_evaluation "${test[@]}" bss=fast method=nmf2 "seeds=[0,1,2]"
$python -m src.evaluate -m +sweep=f0_errors method=comb,nmf1,us_small n_singers=4 "${test[@]}"
grid=outputs/paper
# NMF1 without the prior that keeps its templates near their combs.
$python -m src.evaluate separator=nmf1 separator.prior_frames=0 name=nmf1_free n_singers=4 \
  data=csd "data.root=$csd" 'data.singers=[3]' f0=cached output=$grid/nmf1_free-j4 overwrite=true
here=experiments/paper_grid
$python -m src.report "tables=[$grid/evaluation/*,$grid/f0_errors/*]" output=$grid/report \
  'title="The grid of the paper, trained briefly: Niño Dios, singer 3"' overwrite=true \
  'order=[mixture,comb,hpss_comb,nmf1,nmf2,unet_small,unet_full,sv_small,sv_full,us_small,us_full,oracle]'
cp -r $grid/report/tables $grid/report/report.html $here
mkdir -p $here/figures $here/summaries
cp $grid/report/figures/*.png $here/figures
for file in $grid/evaluation/*/summary.json $grid/nmf1_free-j4/summary.json; do
  cp "$file" "$here/summaries/$(basename "$(dirname "$file")").json"
done

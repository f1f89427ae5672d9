#!/bin/sh
# A model from mixtures alone, as long as the package's: without_stems.sh CSD_DIR [OUT] [MINUTES]
# CSD_DIR: the folder of data=csd with Niño Dios d'amor herido.
set -eu
csd=$1
out=${2:-outputs/without_stems}
minutes=${3:-65}
python -m experiments.shipped.mixtures "$csd" "$out-mixtures"
python -m src.train experiment=without_stems "data.root=$out-mixtures" output="$out" trainer=cpu threads=1 \
    trainer.max_time="00:00:$minutes:00" +trainer.limit_val_batches=3 \
    +trainer.check_val_every_n_epoch=1

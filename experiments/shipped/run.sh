#!/bin/sh
# The model of the package, from the data to the file: run.sh CSD_DIR [OUT] [MINUTES]
# CSD_DIR: the folder of data=csd with Niño Dios d'amor herido, of which only mixtures are used.
set -eu
csd=$1
out=${2:-outputs/shipped}
minutes=${3:-65}
python -m experiments.shipped.mixtures "$csd" "$out-mixtures"
python -m src.train experiment=shipped "data.root=$out-mixtures" output="$out" trainer=cpu threads=1 \
    trainer.max_time="00:00:$minutes:00" +trainer.limit_val_batches=3 \
    +trainer.check_val_every_n_epoch=1
python -m experiments.shipped.export "$out/checkpoints/best.ckpt" --overwrite

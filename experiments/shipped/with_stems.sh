#!/bin/sh
# A model as long as the package's, but with stems: with_stems.sh CSD_DIR [OUT] [MINUTES]
# CSD_DIR: the folder of data=csd with Niño Dios d'amor herido.
set -eu
csd=$1
out=${2:-outputs/with_stems}
minutes=${3:-65}
python -m src.train experiment=with_stems "data.root=$csd" output="$out" trainer=cpu threads=1 \
    trainer.max_time="00:00:$minutes:00" +trainer.limit_val_batches=3 \
    +trainer.check_val_every_n_epoch=4
python -m experiments.shipped.export "$out/checkpoints/best.ckpt" \
    --target experiments/shipped/with_stems.ckpt --overwrite

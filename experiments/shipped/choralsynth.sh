#!/bin/sh
# For research only, as its data are (CC BY-NC-SA 4.0): the package's model, trained further on
# ChoralSynth: choralsynth.sh CHORALSYNTH_DIR [OUT] [MINUTES]
set -eu
choralsynth=$1
out=${2:-outputs/choralsynth}
minutes=${3:-20}
python -m src.train experiment=with_stems init=src/models/voices.ckpt data=choralsynth \
    "data.root=$choralsynth" data.singers=null \
    "data.split.full.train=[Honour*,Hunting*,I_am_the_res*,I_know_whom*,I_will*,If_I_had*]" \
    output="$out" trainer=cpu threads=1 \
    trainer.max_time="00:00:$minutes:00" +trainer.limit_val_batches=6 \
    +trainer.check_val_every_n_epoch=2 +trainer.limit_train_batches=10

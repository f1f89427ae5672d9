#!/bin/sh
# What every part of the recipe of conf/experiment/with_stems.yaml is worth: recipes.sh CSD_DIR [OUT] [STEPS]
# CSD_DIR: the folder of data=csd with Niño Dios d'amor herido. Every recipe is trained on singer 1
# of each voice, for as many steps from the same seed, and separates singer 2 and the generated
# chorales.
set -eu
csd=$1
out=${2:-outputs/recipes}
steps=${3:-320}

evaluate() {
    name=$1
    set_=$2
    shift 2
    python -m src.evaluate separator=umss name="$name" n_singers=4 f0=cached seeds=[0] "$@" \
        output="$out/$set_/$name" skip_existing=true \
        separator.checkpoint="$out/train/$name/checkpoints/best.ckpt"
}

recipe() {
    name=$1
    shift
    python -m src.train experiment=with_stems name="$name" "data.root=$csd" 'data.singers=[1]' \
        data.batch_size=4 'data.mixing.n_singers=[2,3,4]' output="$out/train/$name" \
        trainer=cpu threads=1 trainer.max_steps="$steps" +trainer.limit_val_batches=2 \
        +trainer.check_val_every_n_epoch=20 "$@"
    evaluate "$name" singer_2 data=csd "data.root=$csd" 'data.singers=[2]'
    evaluate "$name" generated data=generated
}

recipe with_stems
recipe other_seed seed=1
recipe no_mask_loss model.mask_weight=0
recipe one_number_of_singers 'data.mixing.n_singers=[4]'
recipe no_transposition data.mixing.pitch_semitones=0
recipe mixtures_of_the_song data.mixing.n_singers=null
recipe f0_errors data.f0_augmentation.probability=0.5
recipe rooms data.mixing.room.share=0.5
python -m experiments.quality.recipes "$out"
